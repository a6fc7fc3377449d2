import { assert, describe, it } from "@effect/vitest"
import { Agent, App, BlobStore, Event, Retention, Run, RunBlobs, RunError, RunStore, Runtime } from "@fastagentic/core"
import { makeRun, suite } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Context, Effect, Fiber, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { caller, journal, layerRuntime, settle, start } from "../support.ts"

const mark = "@fastagentic/blob"

/** Everything is a blob. */
const layerTiny = RunBlobs.layer({ threshold: 0 }).pipe(
  Layer.provide(BlobStore.layerMemory),
  Layer.provide(RunStore.RunStore.layerMemory)
)
suite("RunBlobs before a store in memory", layerTiny)
suite(
  "RunBlobs with its own threshold",
  RunBlobs.layer().pipe(Layer.provide(BlobStore.layerMemory), Layer.provide(RunStore.RunStore.layerMemory))
)

/** A store, what lies below it, and blobs that are at hand, can be lost, and can be out of reach. */
const pieces = Effect.gen(function*() {
  const blobs = new Map<string, Uint8Array>()
  const state = { puts: 0, away: false, young: new Set<string>() }
  const reach = <A>(make: () => A) =>
    Effect.suspend(() =>
      state.away ? Effect.fail(new RunError.StoreUnavailable({ operation: "blobs" })) : Effect.sync(make)
    )
  const blobStore = BlobStore.make({
    write: (key, bytes) =>
      reach(() => {
        state.puts++
        blobs.set(key, bytes)
      }),
    read: (key) => reach(() => blobs.get(key)),
    start: (key, length) => reach(() => blobs.get(key)?.slice(0, length)),
    list: (after) =>
      reach(() =>
        [...blobs].filter(([key]) => key > after).sort(([a], [b]) => a < b ? -1 : 1).slice(0, 3)
          .map(([key, { length }]) => ({ key, bytes: length, at: state.young.has(key) ? 10 : 1 }))
      ),
    has: (key) => reach(() => blobs.has(key)),
    remove: (key) => reach(() => void blobs.delete(key))
  })
  const inner = Context.get(yield* Layer.build(RunStore.RunStore.layerMemory), RunStore.RunStore)
  const open = (threshold: number) =>
    RunBlobs.make({ threshold }).pipe(
      Effect.provideService(RunStore.RunStore, inner),
      Effect.provideService(BlobStore.BlobStore, blobStore)
    )
  return { blobs, state, inner, open, store: yield* open(1_000) }
})

const admit = (run: ReturnType<typeof makeRun>): RunStore.Admit => ({ _tag: "Admit", run, events: [Event.token("a")] })

const commit = (run: { readonly runId: string }, parts: Partial<RunStore.Commit>): RunStore.Commit => ({
  _tag: "Commit",
  runId: run.runId,
  attempt: 1,
  from: ["running"],
  ts: 5,
  events: [],
  ...parts
})

const large = (letter: string) => ({ text: letter.repeat(2_000) })

const everything = { states: ["completed"], finishedBefore: Number.MAX_SAFE_INTEGER, limit: 10 } as const

describe("Blobs that nothing refers to", () => {
  const put = (blobs: Map<string, Uint8Array>, digit: string, text: string) => {
    blobs.set(digit.repeat(64), new TextEncoder().encode(text))
    return digit.repeat(64)
  }

  it.effect("are removed when they are old, and nothing else is", () =>
    Effect.gen(function*() {
      const { blobs, inner, state, store } = yield* pieces
      const run = makeRun({ payload: large("a") })
      const step = (letter: string) => commit(run, { steps: [{ name: "s", value: large(letter) }] })
      yield* store.write([admit(run), step("b")])
      const before = new Set(blobs.keys())
      // Written anew, and not committed: another attempt has the run.
      yield* store.write([step("c")])
      assert.deepStrictEqual(yield* store.write([{ ...step("d"), attempt: 7 }]), [{ _tag: "Refused" }])
      const damaged = makeRun({ payload: large("x") })
      yield* inner.write([admit(damaged)])
      const identity = yield* inner.identity
      const kept = [
        put(blobs, "0", JSON.stringify({ run: "another's", value: large("e") })),
        put(blobs, "1", JSON.stringify({ run: "another's", store: "another", id: "1", value: large("e") })),
        put(blobs, "2", "something else"),
        put(blobs, "3", JSON.stringify({ run: run.runId, id: "no reference yet", value: 1 }))
      ]
      state.young.add("3".repeat(64))
      put(blobs, "4", JSON.stringify({ run: "never \"admitted\"", store: identity, id: "1", value: large("f") }))
      put(blobs, "5", JSON.stringify({ run: run.runId, value: large("g") }))
      const all = blobs.size
      const query = { writtenBefore: 5 }
      const found = yield* Retention.sweepBlobs({ ...query, dryRun: true }).pipe(
        Effect.provideService(RunStore.RunStore, store)
      )
      assert.strictEqual(found.blobs, 4)
      assert.isAbove(found.bytes, 3 * 2_000)
      assert.strictEqual(blobs.size, all)
      assert.deepStrictEqual(yield* store.sweepBlobs?.(query) ?? Effect.succeed(undefined), found)
      assert.deepStrictEqual(yield* store.sweepBlobs?.(query) ?? Effect.succeed(undefined), { blobs: 0, bytes: 0 })
      assert.strictEqual(blobs.size, all - 4)
      for (const key of kept) assert.isTrue(blobs.has(key))
      assert.strictEqual([...before].filter((key) => blobs.has(key)).length, 1)
      assert.containSubset(yield* store.get(run.runId), { payload: large("a") })
      assert.containSubset(yield* store.steps(run.runId), [{ value: large("c") }])
    }).pipe(Effect.scoped))

  it.effect("of a run that cannot be read stay", () =>
    Effect.gen(function*() {
      const { blobs, inner } = yield* pieces
      const run = makeRun()
      put(blobs, "a", JSON.stringify({ run: run.runId, value: 1 }))
      const unreadable = new RunError.JournalDamaged({ runId: run.runId, what: "record" })
      const store = yield* RunBlobs.make().pipe(
        Effect.provideService(RunStore.RunStore, { ...inner, get: () => Effect.fail(unreadable) }),
        Effect.provide(BlobStore.layerMemory)
      )
      assert.deepStrictEqual(yield* store.sweepBlobs?.({ writtenBefore: 9 }) ?? Effect.void, { blobs: 0, bytes: 0 })
    }).pipe(Effect.scoped))

  it.live("are never those of writers of the same moment", () =>
    Effect.gen(function*() {
      const store = yield* RunStore.RunStore
      const writtenBefore = Date.now()
      const runs = Array.from({ length: 40 }, () => makeRun({ payload: large("a") }))
      const writing = Effect.forEach(
        runs,
        (run) =>
          Effect.forEach(["a", "b", "a", "c"], (letter) =>
            Effect.andThen(
              Effect.yieldNow,
              store.write([
                letter === "a" ? admit(run) : commit(run, { steps: [{ name: letter, value: large(letter) }] })
              ])
            ), { discard: true }),
        { concurrency: 10, discard: true }
      )
      const sweeping = Effect.forEach(
        Array.from({ length: 30 }),
        () => Effect.andThen(Retention.sweepBlobs({ writtenBefore }), Effect.yieldNow),
        { discard: true }
      )
      yield* Effect.all([writing, sweeping, sweeping], { concurrency: "unbounded" })
      for (const run of runs) {
        assert.containSubset(yield* store.get(run.runId), { payload: large("a") })
        assert.containSubset(yield* store.steps(run.runId), [{ value: large("b") }, { value: large("c") }])
      }
      // Later nobody uses what was written in vain.
      yield* Retention.sweepBlobs({ writtenBefore: Date.now() + 10_000 })
      assert.deepStrictEqual(yield* Retention.sweepBlobs({ writtenBefore: Date.now() + 10_000 }), {
        blobs: 0,
        bytes: 0
      })
      assert.containSubset(yield* store.get(runs[0]?.runId ?? ""), { payload: large("a") })
    }).pipe(Effect.provide(layerTiny, { local: true })))

  it.effect("a commit whose blobs took too long is not made", () =>
    Effect.gen(function*() {
      const inner = yield* RunStore.RunStore
      const slow = BlobStore.BlobStore.of({
        ...yield* BlobStore.BlobStore,
        put: () => Effect.as(Effect.sleep("11 minutes"), "0".repeat(64))
      })
      const store = yield* RunBlobs.make({ threshold: 0 }).pipe(Effect.provideService(BlobStore.BlobStore, slow))
      const run = makeRun({ payload: large("a") })
      const writing = yield* Effect.forkChild(Effect.flip(store.write([admit(run)])))
      yield* TestClock.adjust("12 minutes")
      assert.strictEqual((yield* Fiber.join(writing))._tag, "StoreUnavailable")
      assert.isUndefined(yield* inner.get(run.runId))
    }).pipe(Effect.provide([RunStore.RunStore.layerMemory, BlobStore.layerMemory], { local: true })))
})

describe("RunBlobs", () => {
  it.effect("keeps only references below, and writes nothing small anywhere else", () =>
    Effect.gen(function*() {
      const { blobs, inner, state, store } = yield* pieces
      const small = makeRun()
      yield* store.write([admit(small), commit(small, { steps: [{ name: "s", value: 1 }], set: { output: "x" } })])
      assert.strictEqual(state.puts, 0)
      const run = makeRun({ payload: large("a") })
      const done = { type: "done", data: { output: large("c") } } as const
      yield* store.write([
        admit(run),
        commit(run, {
          events: [done],
          steps: [{ name: "s", value: large("b") }],
          set: { state: "completed", output: done.data.output, finishedAt: 5 }
        })
      ])
      assert.strictEqual(blobs.size, 3)
      const below = yield* Effect.all([inner.get(run.runId), inner.steps(run.runId), inner.events(run.runId, 0, 10)])
      assert.isBelow(JSON.stringify(below).length, 3_000)
      assert.containSubset(yield* store.get(run.runId), { payload: large("a"), output: large("c") })
      assert.containSubset(yield* store.steps(run.runId), [{ value: large("b") }])
      assert.containSubset(yield* store.events(run.runId, 1, 10), [{ type: "done", data: { output: large("c") } }])
      // The blobs of another run with the same values stay.
      const twin = makeRun({ payload: large("a"), tenant: run.tenant })
      yield* store.write([admit(twin)])
      assert.strictEqual(blobs.size, 4)
      const query = { ...everything, tenant: run.tenant }
      const [found] = yield* store.remove({ ...query, dryRun: true })
      assert.deepStrictEqual([found?.runId, found?.payload, blobs.size], [run.runId, null, 4])
      assert.strictEqual((yield* store.remove(query)).length, 1)
      assert.strictEqual(blobs.size, 1)
      assert.containSubset(yield* store.get(twin.runId), { payload: large("a") })
    }).pipe(Effect.scoped))

  it.effect("a value that looks like a reference is a value", () =>
    Effect.gen(function*() {
      const { blobs, store } = yield* pieces
      const victim = makeRun({ payload: large("secret") })
      yield* store.write([admit(victim)])
      const [key = ""] = blobs.keys()
      for (
        const odd of [{ [mark]: { key } }, { [mark]: { value: 1 } }, { [mark]: null, more: 1 }, { [mark]: large("x") }]
      ) {
        const run = makeRun({ payload: odd })
        yield* store.write([
          admit(run),
          commit(run, { events: [{ type: "done", data: { output: odd } }], steps: [{ name: "s", value: odd }] }),
          commit(run, { set: { output: odd } })
        ])
        assert.containSubset(yield* store.get(run.runId), { payload: odd, output: odd })
        assert.deepStrictEqual((yield* store.get(run.runId))?.payload, odd)
        assert.deepStrictEqual((yield* store.steps(run.runId))[0]?.value, odd)
        assert.deepStrictEqual((yield* store.events(run.runId, 1, 1))[0]?.data, { output: odd })
      }
    }).pipe(Effect.scoped))

  it.effect("a reference to the blob of another run is damaged", () =>
    Effect.gen(function*() {
      const { blobs, inner, open, store } = yield* pieces
      yield* store.write([admit(makeRun({ payload: large("secret") }))])
      const [key = ""] = blobs.keys()
      const thief = makeRun({ payload: { [mark]: { key } } })
      yield* inner.write([admit(thief)])
      const error = yield* Effect.flip((yield* open(1_000)).get(thief.runId))
      assert.containSubset(error, { _tag: "JournalDamaged", runId: thief.runId, what: "payload" })
    }).pipe(Effect.scoped))

  it.effect("a blob that is gone or changed damages its run alone", () =>
    Effect.gen(function*() {
      const { blobs, open, store } = yield* pieces
      const tenant = `tenant-${makeRun().runId}`
      const runs = ["a", "b", "c", "d"].map((letter) =>
        makeRun({ tenant, agent: tenant, payload: large(letter), state: "queued", wakeAt: 1, idempotencyKey: letter })
      )
      for (const run of runs) yield* store.write([admit(run)])
      const [gone = "", changed = ""] = blobs.keys()
      blobs.delete(gone)
      blobs.set(changed, new Uint8Array([1]))
      const fresh = yield* open(1_000)
      const errors = yield* Effect.forEach(runs.slice(0, 2), (run) => Effect.flip(fresh.get(run.runId)))
      assert.deepStrictEqual(errors.map(({ _tag }) => _tag), ["JournalDamaged", "JournalDamaged"])
      // Others take their place in lists.
      assert.strictEqual((yield* fresh.list({ tenant, limit: 2 })).length, 2)
      assert.deepStrictEqual((yield* fresh.list({ tenant, limit: 9 })).map(({ payload }) => payload), [
        large("d"),
        large("c")
      ])
      const due = yield* fresh.due({ now: 9, agents: [tenant], limit: 9 })
      assert.deepStrictEqual(due.map(({ payload }) => payload), [null, null, large("c"), large("d")])
      // A write that repeats a key of a damaged run is refused, and the others of its batch are not.
      const written = yield* fresh.write(["a", "c"].map((letter) =>
        admit(makeRun({ tenant, agent: tenant, payload: large(letter), idempotencyKey: letter }))
      ))
      assert.deepStrictEqual(
        written.map(({ _tag }) =>
          _tag
        ),
        ["Refused", "Attached"]
      )
      // Repeats have left nothing behind.
      assert.strictEqual(blobs.size, 3)
    }).pipe(Effect.scoped))

  it.effect("while blobs cannot be written, only runs that need them are held up", () =>
    Effect.gen(function*() {
      const { state, store } = yield* pieces
      const [one, other] = [makeRun(), makeRun()]
      yield* store.write([admit(one), admit(other)])
      state.away = true
      const step = commit(one, { steps: [{ name: "s", value: large("a") }] })
      assert.strictEqual((yield* Effect.flip(store.write([step])))._tag, "StoreUnavailable")
      const written = yield* store.write([
        step,
        commit(one, { events: [Event.token("after")] }),
        commit(other, { events: [Event.token("b")] })
      ])
      assert.deepStrictEqual(written.map(({ _tag }) => _tag), ["Refused", "Refused", "Committed"])
      assert.strictEqual((yield* store.events(one.runId, 0, 9)).length, 1)
      const away = yield* Effect.flip(store.write([admit(makeRun({ payload: large("a") }))]))
      assert.strictEqual(away._tag, "StoreUnavailable")
      state.away = false
      assert.deepStrictEqual((yield* store.write([step])).map(({ _tag }) => _tag), ["Committed"])
      // A half-removed run is removed at the next try.
      yield* store.write([commit(one, { set: { state: "completed", finishedAt: 5 } })])
      state.away = true
      assert.strictEqual((yield* Effect.flip(store.remove(everything)))._tag, "StoreUnavailable")
      state.away = false
      assert.strictEqual((yield* store.remove(everything)).length, 1)
    }).pipe(Effect.scoped))

  const Big = Agent.make("big", {
    description: "Says much",
    payload: { text: Schema.String },
    success: Schema.String
  })
  const Acme = App.make("acme", { version: "1", agents: [Big] })
  const Handlers = Big.toLayer(Effect.fn(function*({ text }) {
    const twice = yield* Run.step("twice", Effect.succeed(text + text))
    yield* Effect.orDie(Run.interrupt("ok", { schema: Schema.Boolean }))
    return twice
  }))

  it.live("a run goes on from its blobs, and ends with a typed error without them", () =>
    Effect.gen(function*() {
      const { blobs, open } = yield* pieces
      const served = Effect.map(open(1_000), (store) =>
        layerRuntime(Acme, Handlers, Layer.succeed(RunStore.RunStore, store)))
      const text = "ż".repeat(5_000)
      const [first, second] = yield* Effect.provide(
        Effect.all([settle("big", { text }), settle("big", { text: text + text })]),
        yield* served,
        { local: true }
      )
      assert.deepStrictEqual([first.state, second.state, blobs.size], ["suspended", "suspended", 4])
      // The step of the second.
      const [, , , last = ""] = blobs.keys()
      blobs.delete(last)
      yield* Effect.gen(function*() {
        const runtime = yield* Runtime.Runtime
        for (const { runId } of [first, second]) {
          const [open] = yield* runtime.interrupts(caller, runId)
          yield* runtime.answer(caller, runId, open?.id ?? "", { decision: "approve", value: true })
        }
        assert.containSubset(yield* runtime.await(caller, first.runId), { state: "completed", output: text + text })
        assert.containSubset(yield* runtime.await(caller, second.runId), {
          state: "failed",
          error: { tag: "JournalDamaged" }
        })
        assert.containSubset((yield* journal(first.runId)).at(-1), { type: "done", data: { output: text + text } })
        const again = yield* start("big", { text: "short" })
        assert.notStrictEqual(again.runId, first.runId)
      }).pipe(Effect.provide(yield* served, { local: true }))
    }).pipe(Effect.scoped))
})
