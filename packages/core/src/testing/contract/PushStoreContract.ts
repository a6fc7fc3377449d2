// Contract of a `PushStore`. A test file of the implementation calls `suite` once.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { PushStore, type PushTarget } from "../../store/PushStore.ts"

const first: PushTarget = {
  runId: "run żółw 🐢 '",
  id: "config '",
  version: 1,
  dueAt: 1_700_000_000_000,
  config: { url: "https://example.com", of: ["żółw 🐢 '", 1.5, null, { nested: true }] },
  cursor: 0,
  sent: 0,
  attempts: 0,
  createdAt: 1_700_000_000_000
}

/**
 * Declares the tests that every store of push targets passes.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = <E>(name: string, layer: Layer.Layer<PushStore, E>) =>
  describe(name, () => {
    const withStore = <A, E2>(use: (store: PushStore["Service"]) => Effect.Effect<A, E2>) =>
      Effect.scoped(Effect.flatMap(
        Layer.build(Layer.fresh(layer)),
        (context) => Effect.provideContext(Effect.flatMap(PushStore, use), context)
      ))

    const kept = (store: PushStore["Service"]) =>
      Effect.map(store.list(first.runId), (targets) => targets.find(({ id }) => id === first.id))

    it.live("keeps a target as it is, in the place of the version that is named", () =>
      withStore(Effect.fnUntraced(function*(store) {
        assert.isUndefined(yield* kept(store))
        assert.isFalse(yield* store.set({ ...first, version: 2 }, 1))
        assert.isTrue(yield* store.set(first, 0))
        assert.isFalse(yield* store.set({ ...first, version: 2 }, 0))
        assert.deepStrictEqual(yield* kept(store), first)
        const second = {
          ...first,
          version: 2,
          cursor: 4,
          upTo: 9,
          sent: 1,
          attempts: 3,
          dead: "410",
          dueAt: first.dueAt + 1
        }
        assert.isTrue(yield* store.set(second, 1))
        assert.deepStrictEqual(yield* kept(store), second)
        assert.isTrue(yield* store.set({ ...first, version: 3 }, 2))
        assert.deepStrictEqual(yield* kept(store), { ...first, version: 3 })
      })))

    it.live("lets one of many win", () =>
      withStore(Effect.fnUntraced(function*(store) {
        for (const version of [1, 2, 3]) {
          const won = yield* Effect.forEach(
            Array.from({ length: 20 }, (_, index) => index),
            (cursor) => store.set({ ...first, version, cursor }, version - 1),
            { concurrency: 20 }
          )
          assert.strictEqual(won.filter(Boolean).length, 1)
          assert.strictEqual((yield* kept(store))?.cursor, won.indexOf(true))
        }
      })))

    it.live("lists the targets of a run, and those that are due", () =>
      withStore(Effect.fnUntraced(function*(store) {
        const targets = ["b", "a", "c"].map((id, index) => ({ ...first, id, dueAt: first.dueAt + index }))
        const other = { ...first, runId: "other", dueAt: first.dueAt + 9 }
        yield* Effect.forEach([...targets, other], (target) => store.set(target, 0))
        assert.deepStrictEqual((yield* store.list(first.runId)).map(({ id }) => id), ["a", "b", "c"])
        assert.deepStrictEqual(yield* store.list("none"), [])
        const due = (now: number, limit = 10) =>
          Effect.map(store.due({ now, limit }), (found) => found.map(({ id }) => id))
        assert.deepStrictEqual(yield* due(first.dueAt - 1), [])
        assert.deepStrictEqual(yield* due(first.dueAt + 2), ["b", "a", "c"])
        assert.deepStrictEqual(yield* due(first.dueAt + 2, 2), ["b", "a"])
        yield* store.set({ ...first, id: "b", version: 2, dueAt: first.dueAt + 99 }, 1)
        assert.deepStrictEqual(yield* due(first.dueAt + 2), ["a", "c"])
      })))

    it.live("removes a target, also one that is not there", () =>
      withStore(Effect.fnUntraced(function*(store) {
        yield* store.set(first, 0)
        yield* store.remove(first.runId, first.id)
        yield* store.remove(first.runId, first.id)
        assert.isUndefined(yield* kept(store))
        assert.deepStrictEqual(yield* store.list(first.runId), [])
        assert.deepStrictEqual(yield* store.due({ now: first.dueAt, limit: 1 }), [])
        assert.isTrue(yield* store.set(first, 0))
      })))

    it.live("removes no target that has another version than the one that is named", () =>
      withStore(Effect.fnUntraced(function*(store) {
        const next = { ...first, version: 2 }
        yield* store.set(first, 0)
        yield* store.set(next, 1)
        yield* store.remove(first.runId, first.id, 1)
        assert.deepStrictEqual(yield* kept(store), next)
        assert.strictEqual((yield* store.due({ now: first.dueAt, limit: 1 })).length, 1)
        yield* store.remove(first.runId, first.id, 2)
        yield* store.remove(first.runId, first.id, 2)
        assert.isUndefined(yield* kept(store))
        assert.deepStrictEqual(yield* store.due({ now: first.dueAt, limit: 1 }), [])
      })))
  })
