// Forks and retries, as every run store keeps them. RunStoreContract.ts calls it.
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import * as Event from "../../../../run/Event.ts"
import { RunStore } from "../../../../store/RunStore.ts"
import { admit, makeInterrupt, makeRun, options, resolution, started, tagsOf } from "./samples.ts"

export const lineageSuite = (store: Layer.Layer<RunStore, unknown>) => {
  layer(store, options)("forks", (it) => {
    it.effect("are admitted with what they go on from", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun({ forkedFrom: { runId: "origin", seq: 12 } })
        const answered = makeInterrupt(run, { state: "resolved", resolution })
        yield* store.write([{
          ...admit(run, Event.token("a"), Event.token("b")),
          steps: [{ name: "s", value: { n: 1 } }],
          interrupts: [answered]
        }])
        assert.deepStrictEqual(yield* store.get(run.runId), { ...run, seq: 2 })
        assert.deepStrictEqual(yield* store.steps(run.runId), [{ name: "s", value: { n: 1 }, seq: 2 }])
        assert.deepStrictEqual(yield* store.interrupts(run.runId), [answered])
      }))
  })

  layer(store, options)("retries", (it) => {
    it.effect("of a run that has ended are recorded without an event, also once its journal is compacted", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun({ state: "failed", finishedAt: started })
        yield* store.write([admit(run, Event.token("a"), Event.token("b"))])
        const record = (retriedAs: string) =>
          store.write([{
            _tag: "Commit",
            runId: run.runId,
            attempt: run.attempt,
            from: ["completed", "failed", "cancelled", "rejected"],
            ts: run.updatedAt,
            events: [],
            set: { retriedAs }
          }])
        assert.deepStrictEqual(tagsOf(yield* record("one")), ["Committed"])
        assert.deepStrictEqual(yield* store.get(run.runId), { ...run, seq: 2, retriedAs: "one" })
        yield* store.compact({ finishedBefore: Infinity, limit: 1_000 })
        assert.deepStrictEqual(tagsOf(yield* record("two")), ["Committed"])
        assert.strictEqual((yield* store.get(run.runId))?.retriedAs, "two")
        assert.lengthOf(yield* store.events(run.runId, 0, 10), 2)
      }))
  })
}
