// Contract of a `ScheduleStore`. A test file of the implementation calls `suite` once.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { type Definition, type Mark, ScheduleStore } from "../../runtime/ScheduleStore.ts"

const first: Mark = {
  app: "acme",
  key: "acme/żółw 🐢 '",
  version: 1,
  upto: 1_700_000_000_000,
  waiting: [],
  paused: false
}

const definition: Definition = {
  id: "nightly",
  agent: "report",
  cron: "0 3 * * *",
  timeZone: "Europe/Berlin",
  payload: { of: ["żółw 🐢 '", 1.5, null, { nested: true }] },
  missed: "once",
  overlap: "queue",
  principal: { id: "ann", tenant: "acme", scopes: ["*"], roles: ["clerk"], claims: { sub: "ann", n: [1] } },
  createdAt: 1_700_000_000_000,
  updatedAt: 1_700_000_000_001
}

/**
 * Declares the tests that every store of schedules passes.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = <E>(name: string, layer: Layer.Layer<ScheduleStore, E>) =>
  describe(name, () => {
    const withStore = <A, E2>(use: (store: ScheduleStore["Service"]) => Effect.Effect<A, E2>) =>
      Effect.scoped(Effect.flatMap(
        Layer.build(Layer.fresh(layer)),
        (context) => Effect.provideContext(Effect.flatMap(ScheduleStore, use), context)
      ))

    it.live("keeps a mark as it is, each key by itself", () =>
      withStore(Effect.fnUntraced(function*(store) {
        assert.isUndefined(yield* store.get(first.key))
        assert.isTrue(yield* store.set(first, 0))
        assert.deepStrictEqual(yield* store.get(first.key), first)
        const at = first.upto + 1
        const second: Mark = { ...first, version: 2, upto: at, fired: at, runId: "r", waiting: [at, at], paused: true }
        assert.isTrue(yield* store.set(second, 1))
        assert.deepStrictEqual(yield* store.get(first.key), second)
        const { fired: _fired, runId: _runId, ...third } = { ...second, version: 3, waiting: [], paused: false }
        assert.isTrue(yield* store.set(third, 2))
        assert.deepStrictEqual(yield* store.get(first.key), third)
        assert.isUndefined(yield* store.get("acme"))
      })))

    it.live("keeps a mark only in the place of the version that is named", () =>
      withStore(Effect.fnUntraced(function*(store) {
        assert.isFalse(yield* store.set({ ...first, version: 2 }, 1))
        assert.isTrue(yield* store.set(first, 0))
        for (const after of [0, 2, 3]) assert.isFalse(yield* store.set({ ...first, version: 4, upto: 7 }, after))
        assert.deepStrictEqual(yield* store.get(first.key), first)
        assert.isTrue(yield* store.set({ ...first, version: 1_700_000_000_000 }, 1))
        assert.isFalse(yield* store.set({ ...first, version: 2 }, 1))
      })))

    it.live("lets one of many win", () =>
      withStore(Effect.fnUntraced(function*(store) {
        for (const version of [1, 2, 3]) {
          const won = yield* Effect.forEach(
            Array.from({ length: 20 }, (_, index) => index),
            (upto) => store.set({ ...first, version, upto }, version - 1),
            { concurrency: 20 }
          )
          assert.strictEqual(won.filter(Boolean).length, 1)
          assert.strictEqual((yield* store.get(first.key))?.upto, won.indexOf(true))
        }
      })))

    it.live("keeps definitions whole and lists the marks of an app", () =>
      withStore(Effect.fnUntraced(function*(store) {
        const made: Mark = { ...first, key: "acme//t/b", definition }
        const other: Mark = { ...first, app: "acme/b", key: "acme/b/c" }
        assert.deepStrictEqual(yield* store.list("acme"), [])
        for (const mark of [first, other, made]) assert.isTrue(yield* store.set(mark, 0))
        assert.deepStrictEqual(yield* store.list("acme"), [made, first])
        assert.deepStrictEqual(yield* store.list("acme/b"), [other])
        const changed: Mark = { ...made, version: 2, definition: { ...definition, overlap: "skip", payload: null } }
        assert.isTrue(yield* store.set(changed, 1))
        assert.deepStrictEqual(yield* store.get(made.key), changed)
        assert.deepStrictEqual(yield* store.list("acme"), [changed, first])
      })))

    it.live("removes a mark of the version that is named, once", () =>
      withStore(Effect.fnUntraced(function*(store) {
        const made: Mark = { ...first, definition }
        assert.isTrue(yield* store.set(made, 0))
        assert.isFalse(yield* store.remove(made.key, 2))
        assert.isFalse(yield* store.remove("acme/none", 1))
        const removed = yield* Effect.forEach(Array.from({ length: 5 }), () => store.remove(made.key, 1), {
          concurrency: 5
        })
        assert.strictEqual(removed.filter(Boolean).length, 1)
        assert.isUndefined(yield* store.get(made.key))
        assert.deepStrictEqual(yield* store.list("acme"), [])
        assert.isFalse(yield* store.set({ ...made, version: 2 }, 1))
        assert.isTrue(yield* store.set({ ...made, version: 9 }, 0))
        assert.deepStrictEqual((yield* store.list("acme")).map(({ version }) => version), [9])
      })))
  })
