// Contract of an `ApiKeyStore`. A test file of the implementation calls `suite` once.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ApiKey, ApiKeyStore } from "../../door/ApiKeys.ts"

const makeKey = (prefix: string, fields: Partial<ApiKey> = {}) =>
  new ApiKey({
    prefix,
    hash: `hash of ${prefix}`,
    id: "żółw 🐢 '",
    tenant: "acme",
    scopes: ["orders:*", "a, b"],
    roles: [],
    createdAt: 1_700_000_000_000,
    ...fields
  })

/**
 * Declares the tests that every store of API keys passes.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = <E>(name: string, layer: Layer.Layer<ApiKeyStore, E>) =>
  describe(name, () => {
    const withStore = <A, E2>(use: (store: ApiKeyStore["Service"]) => Effect.Effect<A, E2>) =>
      Effect.scoped(Effect.flatMap(
        Layer.build(Layer.fresh(layer)),
        (context) => Effect.provideContext(Effect.flatMap(ApiKeyStore, use), context)
      ))

    it.effect("keeps keys as they are, oldest first", () =>
      withStore((store) =>
        Effect.gen(function*() {
          const late = makeKey("late", { createdAt: 1_700_000_000_001, expiresAt: 1_800_000_000_000, roles: ["x"] })
          const early = makeKey("early")
          yield* store.insert(late)
          yield* store.insert(early)
          assert.deepStrictEqual(yield* store.find("late"), late)
          assert.deepStrictEqual(yield* store.list, [early, late])
          assert.isUndefined(yield* store.find("none"))
          assert.isUndefined(yield* store.find("%"))
        })
      ))

    it.effect("does not take a prefix twice", () =>
      withStore((store) =>
        Effect.gen(function*() {
          yield* store.insert(makeKey("a"))
          const error = yield* Effect.flip(store.insert(makeKey("a", { tenant: "other" })))
          assert.strictEqual(error._tag, "StoreUnavailable")
          assert.deepStrictEqual(yield* store.find("a"), makeKey("a"))
        })
      ))

    it.effect("lets the earlier of two revocations count", () =>
      withStore((store) =>
        Effect.gen(function*() {
          yield* store.insert(makeKey("a"))
          yield* store.insert(makeKey("b"))
          for (const at of [20, 10, 30]) assert.isTrue(yield* store.revoke("a", at))
          assert.deepStrictEqual(yield* store.find("a"), makeKey("a", { revokedAt: 10 }))
          assert.deepStrictEqual(yield* store.find("b"), makeKey("b"))
          assert.isFalse(yield* store.revoke("none", 1))
        })
      ))

    it.effect("keeps accounts disabled until they are enabled, each in its tenant", () =>
      withStore((store) =>
        Effect.gen(function*() {
          const ann = { tenant: "acme", id: "ann:\u0141 '" }
          const other = { tenant: "other", id: ann.id }
          yield* store.disable(ann, 20)
          yield* store.disable({ tenant: "acme", id: "bob" }, 10)
          yield* store.disable(ann, 30)
          assert.isTrue(yield* store.isDisabled(ann))
          assert.isFalse(yield* store.isDisabled(other))
          assert.deepStrictEqual(yield* store.disabled, [{ tenant: "acme", id: "bob", at: 10 }, { ...ann, at: 20 }])
          assert.isFalse(yield* store.enable(other))
          assert.isTrue(yield* store.enable(ann))
          assert.isFalse(yield* store.enable(ann))
          assert.isFalse(yield* store.isDisabled(ann))
          assert.lengthOf(yield* store.disabled, 1)
        })
      ))

    it.effect("writes down the last use", () =>
      withStore((store) =>
        Effect.gen(function*() {
          yield* store.insert(makeKey("a"))
          yield* store.used("a", 10)
          yield* store.used("none", 10)
          assert.deepStrictEqual(yield* store.find("a"), makeKey("a", { lastUsedAt: 10 }))
        })
      ))
  })
