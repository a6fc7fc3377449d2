// Admissions, idempotency keys and commits, as every run store keeps them. RunStoreContract.ts calls it.
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import * as Event from "../../../../run/Event.ts"
import { type Commit, RunStore } from "../../../../store/RunStore.ts"
import {
  admit,
  commit,
  ids,
  makeInterrupt,
  makeRun,
  options,
  readAll,
  resolution,
  snapshot,
  started,
  tagsOf,
  tokens,
  write
} from "./samples.ts"

export const admittingSuite = (store: Layer.Layer<RunStore, unknown>) => {
  layer(store, options)("admit", (it) => {
    it.effect("numbers the first events from 1", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun({ attempt: 3, threadId: "thread", parentRunId: "parent", idempotencyKey: "key" })
        const events = [Event.token("a"), Event.log("info", "b")]
        const written = yield* write(store, admit(run, ...events))
        const stamped = Event.stamp(events, { runId: run.runId, attempt: 3, ts: run.createdAt, lastSeq: 0 })
        assert.deepStrictEqual(written, { _tag: "Admitted", run: { ...run, seq: 2 }, events: stamped })
        assert.deepStrictEqual(yield* store.get(run.runId), { ...run, seq: 2 })
        assert.deepStrictEqual(yield* store.events(run.runId, 0, 10), stamped)
        assert.deepStrictEqual(yield* store.steps(run.runId), [])
        assert.deepStrictEqual(yield* store.interrupts(run.runId), [])
      }))

    it.effect("keeps every field of a record, and adds none", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const bare = makeRun({ durable: false, kind: "tool", state: "queued", payload: null })
        const full = makeRun({
          output: { a: [1, null] },
          error: { tag: "T", message: "m", status: 500, declared: true, value: { b: null } },
          usage: { inputTokens: 1, outputTokens: 2, reasoningTokens: 3, costUsd: 0.25 },
          threadId: "thread",
          parentRunId: "parent",
          idempotencyKey: "key",
          state: "failed",
          finishedAt: started + 7
        })
        yield* store.write([admit(bare), admit(full)])
        assert.deepStrictEqual(yield* store.get(bare.runId), bare)
        assert.deepStrictEqual(yield* store.get(full.runId), full)
      }))

    it.effect("of a run id that is taken is refused", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun()
        yield* write(store, admit(run, Event.token("mine")))
        const before = yield* snapshot(store, run)
        const again = makeRun({ runId: run.runId, tenant: run.tenant, owner: "eve", idempotencyKey: "key" })
        const other = makeRun({ tenant: run.tenant, owner: "eve", idempotencyKey: "key" })
        assert.deepStrictEqual(
          tagsOf(yield* store.write([admit(again, Event.token("theirs")), admit(other)])),
          ["Refused", "Admitted"]
        )
        assert.deepStrictEqual(yield* snapshot(store, run), before)
      }))

    it.effect("unknown runs are undefined and empty", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun()
        const nothing = { record: undefined, events: [], steps: [], interrupts: [] }
        assert.deepStrictEqual(yield* snapshot(store, run), nothing)
        assert.deepStrictEqual(yield* write(store, commit(run, { events: tokens(1) })), { _tag: "Refused" })
        assert.deepStrictEqual(yield* snapshot(store, run), nothing)
        assert.deepStrictEqual(yield* store.write([]), [])
      }))
  })

  layer(store, options)("idempotency", (it) => {
    it.effect("attaches to the run that holds the key, as it is now", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun({ idempotencyKey: "key" })
        const repeat = makeRun({ tenant: run.tenant, idempotencyKey: "key", payload: "other" })
        yield* write(store, admit(run, Event.token("a")))
        yield* write(store, commit(run, { events: tokens(2), set: { state: "completed", output: "done" } }))
        const held = { ...run, seq: 3, state: "completed", output: "done", updatedAt: started + 1 } as const
        const written = yield* write(store, admit(repeat, Event.token("never")))
        assert.deepStrictEqual(written, { _tag: "Attached", run: held })
        assert.isUndefined(yield* store.get(repeat.runId))
        assert.deepStrictEqual(yield* store.events(repeat.runId, 0, 10), [])
      }))

    it.effect("a key belongs to a tenant, owner, kind and agent", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun({ idempotencyKey: "key" })
        const { tenant } = run
        const written = yield* store.write([
          admit(run),
          admit(makeRun({ idempotencyKey: "key" })),
          admit(makeRun({ idempotencyKey: "key", tenant, owner: "bob" })),
          admit(makeRun({ idempotencyKey: "key", tenant, kind: "tool" })),
          admit(makeRun({ idempotencyKey: "key", tenant, agent: "other" })),
          admit(makeRun({ idempotencyKey: "KEY", tenant })),
          admit(makeRun({ tenant })),
          admit(makeRun({ tenant })),
          admit(makeRun({ idempotencyKey: "key", tenant }))
        ])
        assert.deepStrictEqual(tagsOf(written), [...Array.from({ length: 8 }, () => "Admitted"), "Attached"])
      }))

    it.effect("of 100 racers with one key one is admitted", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const tenant = makeRun().tenant
        const racers = Array.from({ length: 100 }, () => makeRun({ tenant, idempotencyKey: "key" }))
        const written = yield* Effect.forEach(racers, (run) => write(store, admit(run, ...tokens(2))), {
          concurrency: "unbounded"
        })
        const admitted = written.filter((one) => one?._tag === "Admitted")
        const attached = written.filter((one) => one?._tag === "Attached")
        assert.deepStrictEqual([admitted.length, attached.length], [1, 99])
        const winner = admitted[0]?.run.runId
        assert.isTrue(attached.every((one) => one.run.runId === winner))
        assert.deepStrictEqual(ids(yield* store.list({ tenant, limit: 100 })), [winner])
      }))

    it.effect("of 100 racers in one batch the first is admitted", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const tenant = makeRun().tenant
        const racers = Array.from({ length: 100 }, () => makeRun({ tenant, idempotencyKey: "key" }))
        const written = yield* store.write(racers.map((run) => admit(run)))
        assert.deepStrictEqual(tagsOf(written), ["Admitted", ...Array.from({ length: 99 }, () => "Attached")])
        assert.deepStrictEqual(ids(yield* store.list({ tenant, limit: 100 })), [racers[0]?.runId])
      }))
  })

  layer(store, options)("commit", (it) => {
    it.effect("appends without a gap and changes only what is set", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun({ emitted: 4 })
        yield* write(store, admit(run, Event.token("a")))
        const written = yield* write(store, commit(run, { events: tokens(2) }))
        const stamped = Event.stamp(tokens(2), { runId: run.runId, attempt: 1, ts: started + 1, lastSeq: 1 })
        assert.deepStrictEqual(written, { _tag: "Committed", events: stamped })
        assert.deepStrictEqual(yield* store.get(run.runId), { ...run, seq: 3, updatedAt: started + 1 })
        const usage = { inputTokens: 7, outputTokens: 8 }
        const error = { tag: "E", message: "no", status: 500, declared: false }
        const set = { state: "failed", emitted: 6, error, usage, finishedAt: started + 2, output: null } as const
        yield* write(store, commit(run, { ts: started + 2, set }))
        const changed = { ...run, ...set, seq: 3, updatedAt: started + 2 }
        assert.deepStrictEqual(yield* store.get(run.runId), changed)
        assert.strictEqual((yield* store.events(run.runId, 0, 10)).length, 3)
      }))

    it.effect("needs the attempt and one of the states", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun({ attempt: 2, state: "suspended" })
        yield* write(store, admit(run))
        const attempts = yield* store.write([
          commit(run, { from: ["running", "queued"] }),
          commit(run, { from: [] }),
          commit(run, { from: ["suspended"], attempt: 1 }),
          commit(run, { from: ["suspended"], attempt: 3 }),
          commit(run, { from: ["running", "suspended"], set: { state: "running" } }),
          commit(run, { from: ["suspended"] }),
          commit(run, {
            from: ["queued", "running", "suspended", "completed", "failed", "cancelled", "rejected"],
            set: { state: "cancelled" }
          })
        ])
        const refused = ["Refused", "Refused", "Refused", "Refused"]
        assert.deepStrictEqual(tagsOf(attempts), [...refused, "Committed", "Refused", "Committed"])
        assert.strictEqual((yield* store.get(run.runId))?.state, "cancelled")
      }))

    it.effect("a refused one writes nothing at all", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun()
        const open = makeInterrupt(run)
        yield* store.write([
          admit(run, Event.token("a")),
          commit(run, { events: tokens(3), steps: [{ name: "plan", value: 1 }], open: [open] })
        ])
        const before = yield* snapshot(store, run)
        const everything: Partial<Commit> = {
          ts: started + 9,
          events: tokens(5),
          set: { state: "completed", emitted: 9, output: "x", finishedAt: started + 9, attempt: 7 },
          steps: [{ name: "plan", value: 2 }, { name: "act", value: 3 }],
          open: [makeInterrupt(run, { id: "i2" }), { ...open, message: "changed" }],
          resolve: { id: "i1", resolution }
        }
        const written = yield* store.write([
          commit(run, { ...everything, attempt: 2 }),
          commit(run, { ...everything, from: ["suspended"] }),
          commit(run, { ...everything, resolve: { id: "unknown", resolution } }),
          commit(run, { ...everything, resolve: { id: "i2", resolution } })
        ])
        assert.deepStrictEqual(tagsOf(written), ["Refused", "Refused", "Refused", "Refused"])
        assert.deepStrictEqual(yield* snapshot(store, run), before)
      }))

    it.effect("a refused one does not disturb the others of its batch", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const one = makeRun()
        const other = makeRun({ tenant: one.tenant })
        const late = makeRun({ tenant: one.tenant })
        yield* store.write([admit(one), admit(other, Event.token("a"))])
        const refused = commit(other, { attempt: 9, events: tokens(2), steps: [{ name: "s", value: 0 }] })
        const written = yield* store.write([
          commit(one, { events: tokens(2), steps: [{ name: "s", value: 1 }] }),
          refused,
          commit(other, { events: tokens(1) }),
          refused,
          commit(one, { resolve: { id: "nothing", resolution }, events: tokens(9) }),
          admit(late, Event.token("late")),
          commit(one, { events: tokens(3), set: { state: "completed" } }),
          commit(one, { events: tokens(1) })
        ])
        const tags = ["Committed", "Refused", "Committed", "Refused", "Refused", "Admitted", "Committed", "Refused"]
        assert.deepStrictEqual(tagsOf(written), tags)
        assert.deepStrictEqual((yield* readAll(store, one.runId, 2, 3)).length, 5)
        assert.deepStrictEqual((yield* readAll(store, other.runId, 2, 3)).length, 2)
        assert.deepStrictEqual((yield* readAll(store, late.runId, 2, 3)).length, 1)
        assert.deepStrictEqual(yield* store.steps(one.runId), [{ name: "s", value: 1, seq: 2 }])
        assert.deepStrictEqual(yield* store.steps(other.runId), [])
      }))

    it.effect("a new attempt shuts the old one out and is on its events", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun()
        yield* store.write([
          admit(run, Event.token("a")),
          commit(run, { events: tokens(1), set: { attempt: 2 } }),
          commit(run, { events: tokens(1) }),
          commit({ ...run, attempt: 2 }, { events: tokens(1) })
        ])
        const events = yield* store.events(run.runId, 0, 10)
        assert.deepStrictEqual(events.map((event) => [event.seq, event.attempt]), [[1, 1], [2, 2], [3, 2]])
        assert.strictEqual((yield* store.get(run.runId))?.attempt, 2)
      }))

    it.effect("of 50 owners of one attempt one gets the next", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun({ state: "queued" })
        yield* write(store, admit(run))
        const claim = commit(run, { from: ["queued", "running"], set: { attempt: 2, state: "running" } })
        const written = yield* Effect.forEach(
          Array.from({ length: 50 }, () => claim),
          (claim) => write(store, { ...claim, events: tokens(1) }),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(written.filter((one) => one?._tag === "Committed").length, 1)
        assert.strictEqual((yield* store.get(run.runId))?.seq, 1)
      }))

    it.effect("of many fibers leave journals without gap or duplicate", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const runs = Array.from({ length: 5 }, () => makeRun())
        yield* store.write(runs.map((run) => admit(run)))
        yield* Effect.forEach(
          Array.from({ length: 100 }, (_, index) => index),
          (index) =>
            store.write(runs.map((run) => commit(run, { events: [Event.token(`${index}`), ...tokens(index % 3)] }))),
          { concurrency: "unbounded", discard: true }
        )
        for (const run of runs) {
          const events = yield* readAll(store, run.runId, 17, 3)
          assert.strictEqual(events.length, (yield* store.get(run.runId))?.seq)
          const written = new Set(events.map((event) => event.type === "token" ? event.data.delta : ""))
          assert.isTrue(Array.from({ length: 100 }, (_, index) => `${index}`).every((index) => written.has(index)))
        }
      }))
  })
}
