// Every field of a record, and a random history, as every run store keeps them. RunStoreContract.ts calls it.
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { RunStore } from "../../../../store/RunStore.ts"
import { history } from "../runStoreHistory.ts"
import { admit, commit, makeChanges, makeComplete, makeRun, nextId, options, started } from "./samples.ts"

export const fieldsSuite = (store: Layer.Layer<RunStore, unknown>) => {
  layer(store, options)("fields of a record", (it) => {
    it.effect("an admitted record keeps every field", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeComplete()
        yield* store.write([admit(run)])
        assert.deepStrictEqual(yield* store.get(run.runId), run)
      }))

    it.effect("a commit changes every field that it may change, and one without changes keeps them", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun()
        const set = makeChanges()
        yield* store.write([admit(run), commit(run, { set })])
        const changed = { ...run, ...set, updatedAt: started + 1 }
        assert.deepStrictEqual(yield* store.get(run.runId), changed)
        yield* store.write([commit(changed, { from: ["suspended"], ts: started + 2 })])
        assert.deepStrictEqual(yield* store.get(run.runId), { ...changed, updatedAt: started + 2 })
        yield* store.write([commit(changed, { from: ["suspended"], set: { crashes: 4 }, ts: started + 3 })])
        assert.deepStrictEqual(yield* store.get(run.runId), { ...changed, crashes: 4, updatedAt: started + 3 })
      }))

    it.effect("a change of state clears what the run waits for and keeps every other field", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = { ...makeComplete(), state: "suspended" as const }
        yield* store.write([admit(run), commit(run, { from: ["suspended"], set: { state: "running" } })])
        const { wakeAt: _wakeAt, waitsFor: _waitsFor, ...rest } = run
        assert.deepStrictEqual(yield* store.get(run.runId), { ...rest, state: "running", updatedAt: started + 1 })
      }))
  })

  layer(store, options)("history", (it) => {
    it.effect("a random one ends as in memory", () => history(nextId(), makeRun), 60_000)
  })
}
