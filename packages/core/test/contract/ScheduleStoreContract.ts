import { assert, describe, it } from "@effect/vitest"
import { type Mark, ScheduleStore } from "@fastagentic/core/runtime/ScheduleStore"
import { Effect, Layer } from "effect"

const first: Mark = { key: "acme/żółw 🐢 '", version: 1, upto: 1_700_000_000_000, paused: false }

/** What every store of marks does. */
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
        assert.isTrue(yield* store.set(first))
        assert.deepStrictEqual(yield* store.get(first.key), first)
        const second: Mark = { ...first, version: 2, upto: first.upto + 1, fired: first.upto + 1, paused: true }
        assert.isTrue(yield* store.set(second))
        assert.deepStrictEqual(yield* store.get(first.key), second)
        const { fired: _fired, ...third } = { ...second, version: 3, paused: false }
        assert.isTrue(yield* store.set(third))
        assert.deepStrictEqual(yield* store.get(first.key), third)
        assert.isUndefined(yield* store.get("acme"))
      })))

    it.live("keeps only what follows on what is there", () =>
      withStore(Effect.fnUntraced(function*(store) {
        assert.isFalse(yield* store.set({ ...first, version: 2 }))
        assert.isTrue(yield* store.set(first))
        for (const version of [1, 3, 0]) assert.isFalse(yield* store.set({ ...first, version, upto: 7 }))
        assert.deepStrictEqual(yield* store.get(first.key), first)
      })))

    it.live("lets one of many win", () =>
      withStore(Effect.fnUntraced(function*(store) {
        for (const version of [1, 2, 3]) {
          const won = yield* Effect.forEach(
            Array.from({ length: 20 }, (_, index) => index),
            (upto) => store.set({ ...first, version, upto }),
            { concurrency: 20 }
          )
          assert.strictEqual(won.filter(Boolean).length, 1)
          assert.strictEqual((yield* store.get(first.key))?.upto, won.indexOf(true))
        }
      })))
  })
