import { assert, describe, it } from "@effect/vitest"
import { ApiKeys, Audit, Auth, Principal, RunStore } from "@fastagentic/core"
import { suite } from "@fastagentic/core/testing/contract/ApiKeyStoreContract"
import { Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"

const Stores = Layer.mergeAll(ApiKeys.ApiKeyStore.layerMemory, RunStore.RunStore.layerMemory, Audit.layerMemory)
const Kept = Layer.provideMerge(ApiKeys.layer, Stores)

const grant = { id: "ci", tenant: "acme", scopes: ["orders:*"], roles: ["support"] }

const show = (secret: Redacted.Redacted<string>) => Auth.Auth.use((auth) => auth.authenticate({ apiKey: secret }))

suite("ApiKeyStore.layerMemory", ApiKeys.ApiKeyStore.layerMemory)

describe("ApiKeys", () => {
  it.effect("knows the holder of a key, whichever way it is shown", () =>
    Effect.gen(function*() {
      const { key, secret } = yield* ApiKeys.create(grant)
      const principal = yield* show(secret)
      assert.deepInclude(principal, { ...grant, claims: { key: key.prefix } })
      const auth = yield* Auth.Auth
      assert.deepStrictEqual(yield* auth.authenticate({ bearer: secret }), principal)
    }).pipe(Effect.provide(Kept, { local: true })))

  it.effect("keeps a hash, and neither the secret nor its parts", () =>
    Effect.gen(function*() {
      const { secret } = yield* ApiKeys.create(grant)
      const store = yield* ApiKeys.ApiKeyStore
      const text = JSON.stringify(yield* store.list)
      assert.notInclude(text, Redacted.value(secret).split("_")[2] ?? "")
      assert.match(Redacted.value(secret), /^fak_[0-9a-f]{12}_[0-9a-f]{64}$/u)
    }).pipe(Effect.provide(Kept, { local: true })))

  it.effect("refuses what is no key of its own without saying why", () =>
    Effect.gen(function*() {
      const { secret } = yield* ApiKeys.create(grant)
      const text = Redacted.value(secret)
      const wrong = [
        "",
        "x",
        `${text} `,
        text.slice(0, -1),
        text.slice(0, -1) + (text.endsWith("0") ? "1" : "0"),
        `fak_${"0".repeat(12)}_${text.slice(-64)}`
      ]
      for (const one of wrong) {
        const error = yield* Effect.flip(show(Redacted.make(one)))
        assert.deepInclude(error, { _tag: "Unauthenticated", reason: "the credentials are not valid" })
      }
    }).pipe(Effect.provide(Kept, { local: true })))

  it.effect("refuses a key that has expired or was revoked", () =>
    Effect.gen(function*() {
      const expiring = yield* ApiKeys.create({ ...grant, expiresIn: "1 hour" })
      const lasting = yield* ApiKeys.create(grant)
      yield* show(expiring.secret)
      yield* TestClock.adjust("1 hour")
      assert.include(yield* Effect.flip(show(expiring.secret)), { _tag: "Unauthenticated" })
      yield* show(lasting.secret)
      yield* ApiKeys.revoke(lasting.key.prefix)
      assert.include(yield* Effect.flip(show(lasting.secret)), { _tag: "Unauthenticated" })
      assert.include(yield* Effect.flip(ApiKeys.revoke("none")), { _tag: "ApiKeyNotFound" })
      assert.include(yield* Effect.flip(ApiKeys.rotate(lasting.key.prefix)), { _tag: "ApiKeyNotFound" })
    }).pipe(Effect.provide(Kept, { local: true })))

  it.effect("rotates: both keys hold for as long as they overlap", () =>
    Effect.gen(function*() {
      const old = yield* ApiKeys.create({ ...grant, expiresIn: "30 days" })
      yield* TestClock.adjust("20 days")
      const fresh = yield* ApiKeys.rotate(old.key.prefix, { overlap: "1 day" })
      assert.deepInclude(yield* show(fresh.secret), grant)
      yield* show(old.secret)
      yield* TestClock.adjust("1 day")
      yield* Effect.flip(show(old.secret))
      yield* TestClock.adjust("28 days")
      yield* show(fresh.secret)
      const at = yield* ApiKeys.rotate(fresh.key.prefix)
      yield* Effect.flip(show(fresh.secret))
      yield* show(at.secret)
    }).pipe(Effect.provide(Kept, { local: true })))

  it.effect("writes down when a key was used, once a minute at most", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1 day")
      const { key, secret } = yield* ApiKeys.create(grant)
      const store = yield* ApiKeys.ApiKeyStore
      const used = Effect.map(store.find(key.prefix), (found) => (found?.lastUsedAt ?? 0) - key.createdAt)
      yield* show(secret)
      yield* TestClock.adjust("59 seconds")
      yield* show(secret)
      assert.strictEqual(yield* used, 0)
      yield* TestClock.adjust("1 second")
      yield* show(secret)
      assert.strictEqual(yield* used, 60_000)
    }).pipe(Effect.provide(Kept, { local: true })))
})

describe("Auth.layerFirst", () => {
  it.effect("accepts what either accepts", () =>
    Effect.gen(function*() {
      const { secret } = yield* ApiKeys.create(grant)
      const local = Auth.layerKeys([{ key: Redacted.make("static"), principal: Principal.local }])
      const both = yield* Effect.map(Layer.build(Auth.layerFirst(ApiKeys.layer, local)), (context) =>
        Effect.provideContext(Auth.Auth, context))
      const auth = yield* both
      assert.isFalse(auth.open)
      assert.deepStrictEqual(auth.schemes, ["bearer", "apiKey"])
      assert.strictEqual((yield* auth.authenticate({ bearer: secret })).id, "ci")
      assert.strictEqual((yield* auth.authenticate({ bearer: Redacted.make("static") })).id, "local")
      assert.include(yield* Effect.flip(auth.authenticate({ bearer: Redacted.make("none") })), {
        _tag: "Unauthenticated"
      })
    }).pipe(Effect.scoped, Effect.provide(Stores, { local: true })))
})
