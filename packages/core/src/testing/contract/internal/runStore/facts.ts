// Facts for the audit log, written with the change that they record, as every run store keeps them. RunStoreContract.ts calls it.
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import * as Event from "../../../../run/Event.ts"
import type { Resolution } from "../../../../run/Interrupt.ts"
import { type Fact, type FactQuery, RunStore } from "../../../../store/RunStore.ts"
import {
  admit,
  commit,
  makeInterrupt,
  makeRun,
  nextId,
  options,
  started,
  type Store,
  tagsOf,
  write
} from "./samples.ts"

export const factsSuite = (store: Layer.Layer<RunStore, unknown>) => {
  layer(store, options)("facts for the audit log", (it) => {
    const odd = "żółw 🐢 ' {} , \\ \n %"
    const denial: Resolution = { decision: "deny", by: "bob", at: started + 5 }
    const factAt = (at: number): Fact => ({ id: nextId(), at, body: JSON.stringify({ at, odd }) })
    /** Those of these facts that wait, in their order. */
    const waiting = (store: Store, facts: ReadonlyArray<Fact>, query: Partial<FactQuery> = {}) =>
      Effect.map(
        store.facts({ before: Number.MAX_SAFE_INTEGER, limit: 100_000, ...query }),
        (found) => found.filter(({ id }) => facts.some((fact) => fact.id === id))
      )

    it.effect("wait with the change that they record, until they are removed", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun()
        const asked = makeInterrupt(run)
        const facts = [factAt(3), factAt(1), factAt(2), factAt(4), factAt(9)]
        const [first, second, third, fourth, fifth] = facts
        const some = (...given: ReadonlyArray<Fact | undefined>) => given.filter((fact) => fact !== undefined)
        yield* store.write([
          { ...admit(run, Event.token("a")), facts: some(first, second) },
          commit(run, { open: [asked], facts: some(third) }),
          commit(run, { ts: started + 2, resolve: { id: asked.id, resolution: denial }, facts: some(fourth) })
        ])
        yield* store.write([commit(run, { ts: started + 3, set: { state: "completed" }, facts: some(fifth) })])
        assert.deepStrictEqual(yield* waiting(store, facts), some(second, third, first, fourth, fifth))
        assert.deepStrictEqual(yield* waiting(store, facts, { before: 3 }), some(second, third))
        const oldest = yield* store.facts({ before: 2, limit: 1 })
        assert.lengthOf(oldest, 1)
        yield* store.removeFacts(some(second, fifth).map(({ id }) => id))
        yield* store.removeFacts([fifth?.id ?? "", "there is none"])
        yield* store.removeFacts([])
        assert.deepStrictEqual(yield* waiting(store, facts), some(third, first, fourth))
        yield* store.removeFacts(facts.map(({ id }) => id))
        assert.deepStrictEqual(yield* waiting(store, facts), [])
      }))

    it.effect("of a write that is refused or attached are not kept", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun({ idempotencyKey: nextId(), threadId: "t" })
        const asked = makeInterrupt(run)
        yield* store.write([admit(run), commit(run, { open: [asked] })])
        const facts = Array.from({ length: 6 }, (_, at) => factAt(at))
        const noted = (at: number) => ({ facts: facts.slice(at, at + 1) })
        const again = { ...run, runId: nextId() }
        const { idempotencyKey: _key, ...busy } = { ...run, runId: nextId() }
        const resolve = { id: asked.id, resolution: denial }
        const writes = [
          { ...admit(again), ...noted(0) },
          { ...admit(busy), alone: true, ...noted(1) },
          commit(run, { attempt: 7, ...noted(2) }),
          commit(run, { from: ["suspended"], ...noted(3) }),
          commit(run, { resolve: { ...resolve, id: "another" }, ...noted(4) })
        ]
        assert.deepStrictEqual(tagsOf(yield* store.write(writes)), [
          "Attached",
          "Busy",
          "Refused",
          "Refused",
          "Refused"
        ])
        assert.deepStrictEqual(yield* waiting(store, facts), [])
        // One of many decisions is written, and with it one fact.
        const racing = Array.from({ length: 20 }, (_, at) => factAt(at))
        const written = yield* Effect.forEach(
          racing,
          (fact) => write(store, commit(run, { resolve, facts: [fact] })),
          { concurrency: "unbounded" }
        )
        const winner = written.findIndex((one) => one?._tag === "Committed")
        assert.deepStrictEqual(yield* waiting(store, racing), racing.slice(winner, winner + 1))
        yield* store.removeFacts(racing.map(({ id }) => id))
      }))

    it.effect("stay when their run is removed", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun({ state: "completed", finishedAt: 10 })
        const fact = factAt(1)
        yield* store.write([{ ...admit(run), facts: [fact] }])
        const query = { tenant: run.tenant, states: ["completed"], finishedBefore: 20, limit: 10 } as const
        assert.lengthOf(yield* store.remove(query), 1)
        assert.deepStrictEqual(yield* waiting(store, [fact]), [fact])
        yield* store.removeFacts([fact.id])
      }))
  })
}
