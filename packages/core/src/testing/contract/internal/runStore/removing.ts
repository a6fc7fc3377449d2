// Removal and compaction of old runs, as every run store keeps them. RunStoreContract.ts calls it.
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import * as Event from "../../../../run/Event.ts"
import { type RunRecord } from "../../../../run/RunRecord.ts"
import { type Compacted, RunStore } from "../../../../store/RunStore.ts"
import {
  admit,
  commit,
  ids,
  makeRun,
  nextId,
  options,
  readAll,
  snapshot,
  started,
  type Store,
  tagsOf,
  tokens,
  write
} from "./samples.ts"

export const removingSuite = (store: Layer.Layer<RunStore, unknown>) => {
  layer(store, options)("removing", (it) => {
    it.effect("takes what ended before a time, with all that belongs to it", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const { tenant } = makeRun()
        const ended = (finishedAt: number, overrides: Partial<RunRecord> = {}) =>
          makeRun({ tenant, state: "completed", finishedAt, ...overrides })
        const old = ended(10, { idempotencyKey: "key", threadId: "t" })
        const failed = ended(11, { state: "failed" })
        const recent = ended(20)
        const running = makeRun({ tenant })
        const theirs = ended(1, { tenant: `tenant-${nextId()}` })
        yield* store.write(
          [old, failed, recent, running, theirs].map((run) => ({
            ...admit(run, Event.token("x")),
            steps: [{ name: "s", value: 1 }]
          }))
        )
        const query = { tenant, states: ["completed", "failed", "running"], finishedBefore: 20, limit: 10 } as const
        assert.deepStrictEqual(ids(yield* store.remove({ ...query, dryRun: true })), ids([old, failed]))
        assert.deepStrictEqual(ids(yield* store.remove({ ...query, states: ["completed"] })), ids([old]))
        assert.deepStrictEqual(yield* snapshot(store, old), {
          record: undefined,
          events: [],
          steps: [],
          interrupts: []
        })
        assert.deepStrictEqual(yield* store.list({ tenant, threadId: "t", limit: 10 }), [])
        assert.deepStrictEqual(yield* store.remove({ ...query, runIds: [running.runId] }), [])
        assert.deepStrictEqual(
          ids(yield* store.remove({ ...query, runIds: [failed.runId], limit: 1 })),
          ids([failed])
        )
        assert.deepStrictEqual(ids(yield* store.list({ tenant, limit: 10 })), ids([running, recent]))
        // The key is free again.
        const again = makeRun({ tenant, idempotencyKey: "key" })
        assert.deepStrictEqual(tagsOf(yield* store.write([admit(again)])), ["Admitted"])
      }))

    it.effect("takes a run only once the run that started it is gone, and leaves tenants out", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const { tenant } = makeRun()
        const ended = { tenant, state: "completed", finishedAt: 10 } as const
        const parent = makeRun({ ...ended, finishedAt: 12 })
        const child = makeRun({ ...ended, parentRunId: parent.runId })
        const grandchild = makeRun({ ...ended, parentRunId: child.runId })
        const waiting = makeRun({ tenant, state: "suspended", waitsFor: "child" })
        const awaited = makeRun({ ...ended, finishedAt: 1, parentRunId: waiting.runId })
        const runs = [parent, child, grandchild, waiting, awaited]
        yield* store.write(runs.map((run) => admit(run)))
        const query = { tenant, states: ["completed"], finishedBefore: 11, limit: 10 } as const
        assert.deepStrictEqual(yield* store.remove(query), [])
        const all = { ...query, finishedBefore: 20 }
        assert.deepStrictEqual(yield* store.remove({ ...all, exceptTenants: ["other", tenant] }), [])
        assert.deepStrictEqual(
          ids(yield* store.remove({ ...all, limit: 1, exceptTenants: ["other"] })),
          ids([parent])
        )
        assert.deepStrictEqual(ids(yield* store.remove(all)), ids([child]))
        assert.deepStrictEqual(ids(yield* store.remove(all)), ids([grandchild]))
        assert.deepStrictEqual(yield* store.remove(all), [])
        assert.deepStrictEqual(yield* store.get(awaited.runId), awaited)
        // The named runs are removed.
        const named = { ...all, runIds: [awaited.runId, waiting.runId] }
        assert.deepStrictEqual(ids(yield* store.remove(named)), ids([awaited]))
      }))
  })

  layer(store, options)("compacting", (it) => {
    const streamed = Effect.fnUntraced(function*(store: Store, overrides: Partial<RunRecord> = {}) {
      const run = makeRun(overrides)
      const path = ["inner"]
      const texts = ["a", "", "żółw 🐢", "\uD83D", "\uDC22", "\u0000\"\\", "x".repeat(300)]
      const batches: ReadonlyArray<ReadonlyArray<Event.Event>> = [
        [Event.make("message_start", { messageId: "m", role: "assistant" })],
        ...texts.map((text) => [Event.token(text, "m")]),
        [Event.token("b", "m"), Event.token("c", "n"), Event.token("d")],
        [Event.make("token", { delta: "e", messageId: "m", blockId: "1" }, path), Event.log("info", "between")],
        [Event.make("reasoning_delta", { delta: "f" }), Event.make("reasoning_delta", { delta: "g" })],
        [Event.make("tool_call_delta", { toolCallId: "1", delta: "{" })],
        [Event.make("tool_call_delta", { toolCallId: "1", delta: "}" })],
        ...Array.from({ length: 400 }, (_, index) => [Event.token(`t${index}`, "m")])
      ]
      yield* store.write([admit(run, Event.token("0", "m"))])
      // Clocks go back, and a run has several attempts.
      yield* store.write(batches.map((events, index) => commit(run, { events, ts: started + (index % 7) - 3 })))
      yield* store.write([
        commit(run, { set: { attempt: run.attempt + 1 } }),
        commit(run, {
          attempt: run.attempt + 1,
          events: [Event.token("h"), Event.make("done", { output: "done" })],
          set: { state: "completed", finishedAt: 5 }
        })
      ])
      return run
    })

    const query = { finishedBefore: 10, limit: 100 }

    const compactAll = Effect.fnUntraced(function*(store: Store) {
      const found: Array<Compacted> = []
      while (true) {
        const page = yield* store.compact(query)
        if (page.length === 0) return found
        found.push(...page)
      }
    })

    const sums = (found: ReadonlyArray<Compacted>, { runId }: RunRecord) =>
      found.filter((one) => one.runId === runId).reduce(
        (sum, { after, before }) => ({ before: sum.before + before, after: sum.after + after }),
        { before: 0, after: 0 }
      )

    it.effect("keeps every event as it was, under its number, in fewer rows", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        yield* compactAll(store)
        const run = yield* streamed(store)
        const open = makeRun({ state: "suspended" })
        const recent = makeRun({ state: "completed", finishedAt: 10 })
        yield* store.write([admit(open, ...tokens(5)), admit(recent, ...tokens(5))])
        const before = yield* snapshot(store, run)
        const foreseen = sums(yield* store.compact({ ...query, dryRun: true }), run)
        assert.deepStrictEqual(yield* snapshot(store, run), before)
        const found = yield* compactAll(store)
        assert.deepStrictEqual(new Set(found.map(({ runId }) => runId)), new Set([run.runId]))
        assert.deepStrictEqual(sums(found, run), foreseen)
        assert.isAbove(foreseen.before, 400)
        assert.isBelow(foreseen.after, 40)
        assert.deepStrictEqual(yield* compactAll(store), [])
        assert.deepStrictEqual(yield* snapshot(store, run), before)
        // Every start inside the journal, with pages of any size.
        const last = before.events.length
        for (let after = 0; after <= last; after += 13) {
          assert.deepStrictEqual(yield* store.events(run.runId, after, 10_000), before.events.slice(after))
        }
        for (const limit of [1, 7, 255, 256, 257, 10_000]) {
          assert.deepStrictEqual(yield* readAll(store, run.runId, limit, 256), before.events)
        }
        assert.deepStrictEqual(yield* store.events(run.runId, last, 10), [])
        assert.strictEqual(
          yield* write(store, commit(run, { events: tokens(1) })).pipe(Effect.map((w) => w?._tag)),
          "Refused"
        )
      }), 30_000)

    it.effect("is done once by many at a time, while others read", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const runs = yield* Effect.forEach(Array.from({ length: 5 }), () => streamed(store))
        const before = yield* Effect.forEach(runs, (run) => snapshot(store, run))
        const reading = Effect.forEach(runs, (run, index) =>
          Effect.forEach(Array.from({ length: 5 }), () =>
            Effect.map(
              readAll(store, run.runId, 50, 256),
              (events) => assert.deepStrictEqual(events, before[index]?.events)
            ), { discard: true }), {
          concurrency: "unbounded",
          discard: true
        })
        yield* Effect.all([reading, ...Array.from({ length: 8 }, () => compactAll(store))], {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(yield* compactAll(store), [])
        assert.deepStrictEqual(yield* Effect.forEach(runs, (run) => snapshot(store, run)), before)
      }), 60_000)

    it.effect("a compacted run goes as any other", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = yield* streamed(store)
        yield* compactAll(store)
        const removal = { tenant: run.tenant, states: ["completed"], finishedBefore: 10, limit: 10 } as const
        assert.deepStrictEqual(ids(yield* store.remove(removal)), [run.runId])
        assert.deepStrictEqual(yield* store.events(run.runId, 0, 10), [])
        assert.deepStrictEqual(yield* store.events(run.runId, 300, 10), [])
      }))
  })
}
