import { assert, describe, it } from "@effect/vitest"
import { Auth, Authorization, Credentials, Policy, Principal, Roles } from "@fastagentic/core"
import { Effect, Layer, Redacted, Result } from "effect"

const makePrincipal = (roles: ReadonlyArray<string>, scopes: ReadonlyArray<string> = []) =>
  new Principal.Principal({ id: "ada", tenant: "acme", scopes, roles, claims: {} })

const definitions: Roles.Definitions = {
  admin: { scopes: ["runs:*"], includes: ["support", "reader"] },
  support: { scopes: ["orders:refund"], includes: ["reader"] },
  reader: { scopes: ["orders:read"] },
  nobody: {}
}

describe("Policy.holds", () => {
  it.each([
    ["*", "orders:read", true],
    ["orders:*", "orders:read", true],
    ["orders:*", "orders:read:own", true],
    ["orders:*", "orders", false],
    ["orders:*", "orders:", false],
    ["orders:*", "ordersx:read", false],
    ["orders:*:own", "orders:read:own", true],
    ["orders:*:own", "orders:read:all", false],
    ["orders:*:own", "orders:read:own:now", false],
    ["orders:re*", "orders:read", false],
    ["orders", "orders:read", false],
    ["", "orders:read", false],
    ["*:read", "orders:read", true],
    ["*:read", "orders:write", false]
  ])("%s holds %s: %s", (held, needed, expected) => {
    assert.strictEqual(Policy.holds([held], needed), expected)
  })
})

describe("Roles", () => {
  it("grants what included roles grant", () => {
    const roles = Result.getOrThrow(Roles.make(definitions))
    assert.sameMembers([...Roles.expand(roles, makePrincipal(["admin"], ["own"])).scopes], [
      "own",
      "runs:*",
      "orders:refund",
      "orders:read"
    ])
    const plain = makePrincipal(["nobody", "unheard-of", "constructor", "__proto__"])
    assert.strictEqual(Roles.expand(roles, plain), plain)
  })

  it("names the roles of a circle", () => {
    const circle = Roles.make({ a: { includes: ["b"] }, b: { includes: ["c"] }, c: { includes: ["b"] } })
    assert.deepInclude(Result.getOrThrow(Result.flip(circle)), { _tag: "RoleCycle", path: ["b", "c", "b"] })
    const own = Result.getOrThrow(Result.flip(Roles.make({ a: { includes: ["a"] } })))
    assert.strictEqual(own.message, "roles include each other in a circle: a → a")
  })

  it("names a role that is not defined", () => {
    const missing = Result.getOrThrow(Result.flip(Roles.make({ a: { includes: ["toString"] } })))
    assert.deepInclude(missing, { _tag: "UnknownRole", role: "a", includes: "toString" })
  })

  it.effect("stands between who a caller is and what the caller may do", () =>
    Effect.gen(function*() {
      const auth = yield* Auth.Auth
      const ada = yield* auth.authenticate({ apiKey: Redacted.make("key") })
      yield* Authorization.requireScopes(ada, ["orders:read", "runs:act:tenant"])
      assert.deepInclude(yield* Effect.flip(Authorization.requireScopes(ada, ["orders:write"])), {
        _tag: "Forbidden",
        missing: ["orders:write"]
      })
      assert.deepStrictEqual(Authorization.visibleRuns(ada), { tenant: "acme" })
      assert.strictEqual(yield* auth.authenticate({ apiKey: Redacted.make("key") }), ada)
      assert.strictEqual((yield* Effect.flip(auth.authenticate(Credentials.none)))._tag, "Unauthenticated")
    }).pipe(Effect.provide(
      Roles.layer(definitions).pipe(
        Layer.provide(Auth.layerKeys([{ key: Redacted.make("key"), principal: makePrincipal(["admin"]) }]))
      )
    )))
})
