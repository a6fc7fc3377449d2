// The app that a store belongs to, and its identity, as every run store keeps them. RunStoreContract.ts calls it.
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { RunStore } from "../../../../store/RunStore.ts"
import { options } from "./samples.ts"

export const identitySuite = (store: Layer.Layer<RunStore, unknown>) => {
  layer(store, options)("bind", (it) => {
    it.effect("the first of many apps has the store, and keeps it", () =>
      Effect.gen(function*() {
        const { bind } = yield* RunStore
        const apps = Array.from({ length: 20 }, (_, index) => `app ${index} '"`)
        const bound = new Set(yield* Effect.forEach(apps, bind, { concurrency: "unbounded" }))
        assert.strictEqual(bound.size, 1)
        assert.include(apps, [...bound][0])
        assert.deepStrictEqual(yield* bind("another"), [...bound][0])
      }))
  })

  layer(store, options)("identity", (it) => {
    it.effect("is the same each time, and a name", () =>
      Effect.gen(function*() {
        const { identity } = yield* RunStore
        const all = yield* Effect.all([identity, identity, identity], { concurrency: "unbounded" })
        assert.strictEqual(new Set(all).size, 1)
        assert.match(all[0], /^[0-9a-f-]{32,36}$/u)
      }))
  })
}
