import { assert, describe, it } from "@effect/vitest"
import { Auth } from "@fastagentic/core/door/Auth"
import * as Credentials from "@fastagentic/core/run/Credentials"
import { Principal } from "@fastagentic/core/run/Principal"
import { Clock, Context, Effect, Fiber, Layer, Redacted } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { TestClock } from "effect/testing"
import * as Jose from "jose"
import { Oidc } from "../../src/oidc/index.ts"
import { audience, makeKey, sign, startIssuer } from "./issuer.ts"

type Authenticate = Auth["Service"]["authenticate"]

const shown = (token: string): Credentials.Credentials => ({ bearer: Redacted.make(token) })

const buildAuth = (options: Oidc.Options) =>
  Effect.map(
    Layer.build(Oidc.layer({ refreshSpacing: "50 millis", ...options }).pipe(Layer.provide(FetchHttpClient.layer))),
    (context) => Context.get(context, Auth)
  )

const startAuth = (options: Oidc.Options) =>
  Effect.map(buildAuth(options), ({ authenticate }): Authenticate => authenticate)

const start = Effect.fnUntraced(function*(options: Partial<Oidc.Options> = {}) {
  const key = yield* Effect.promise(() => makeKey("one"))
  const { issuer, state } = yield* startIssuer(key)
  const authenticate = yield* startAuth({ issuer, audience, ...options })
  return { issuer, key, state, authenticate }
})

const refusal = (authenticate: Authenticate, token: string) =>
  Effect.map(Effect.flip(authenticate(shown(token))), (error) => {
    assert.notInclude(JSON.stringify(error), token.slice(0, 12))
    return error._tag === "Unauthenticated" ? error.reason : error._tag
  })

const part = (value: unknown) => Jose.base64url.encode(JSON.stringify(value))

describe("Oidc", () => {
  it.live("the principal comes from the claims", () =>
    Effect.gen(function*() {
      const { authenticate, issuer, key } = yield* start({ tenantClaim: "org", rolesClaim: "realm_access.roles" })
      const token = yield* Effect.promise(() =>
        sign(issuer, key, {
          claims: { org: "acme", scope: "orders:read orders:write", realm_access: { roles: ["support"] } }
        })
      )
      const principal = yield* authenticate(shown(token))
      assert.deepInclude(principal, {
        id: "ada",
        tenant: "acme",
        scopes: ["orders:read", "orders:write"],
        roles: ["support"]
      })
      assert.strictEqual(principal.claims["org"], "acme")
      assert.strictEqual(yield* authenticate(shown(token)), principal)
      const stateless = yield* Effect.promise(() => sign(issuer, key))
      assert.strictEqual(yield* refusal(authenticate, stateless), "the token names no tenant")
    }).pipe(Effect.scoped))

  it.live("a principal may act for the longest age after its token, unless the app's check gives a reason against it", () =>
    Effect.gen(function*() {
      const { authenticate, issuer, key } = yield* start()
      const principal = yield* authenticate(shown(yield* Effect.promise(() => sign(issuer, key))))
      const now = yield* Clock.currentTimeMillis
      const standingOf = Effect.fnUntraced(function*(revalidate: Oidc.Options["revalidate"], age: number, other = {}) {
        const auth = yield* buildAuth({ issuer, audience, revalidate })
        const claims = { ...principal.claims, ...other }
        const { revalidate: ask } = auth
        return ask === undefined
          ? assert.fail("principals are not revalidated")
          : yield* ask({ principal: new Principal({ ...principal, claims }), at: now - age })
      })
      const day = 86_400_000
      assert.deepStrictEqual(yield* standingOf(undefined, 29 * day), { _tag: "Valid" })
      assert.deepInclude(yield* standingOf(undefined, 31 * day), { _tag: "Invalid" })
      assert.deepInclude(yield* standingOf({ maxAge: "1 hour" }, day), { _tag: "Invalid" })
      const check = ({ id }: Principal) => Effect.succeed(id === "ada" ? "has left" : undefined)
      assert.deepStrictEqual(yield* standingOf({ check }, 0), { _tag: "Invalid", reason: "has left" })
      assert.deepStrictEqual(yield* standingOf({ check }, 0, { iss: "https://other" }), { _tag: "Unknown" })
    }).pipe(Effect.scoped))

  it.live("scp lists, client subjects, and tokens of type JWT or none are accepted", () =>
    Effect.gen(function*() {
      const { authenticate, issuer, key } = yield* start()
      for (const typ of ["JWT", "application/at+jwt", undefined]) {
        const token = yield* Effect.promise(() =>
          sign(issuer, key, {
            claims: { sub: undefined, client_id: "robot", scope: undefined, scp: ["a"] },
            header: { typ }
          })
        )
        assert.deepInclude(yield* authenticate(shown(token)), { id: "robot", tenant: "default", scopes: ["a"] })
      }
    }).pipe(Effect.scoped))

  it.live("a token of another issuer, audience or time is refused", () =>
    Effect.gen(function*() {
      const { authenticate, issuer, key, state } = yield* start()
      const stranger = yield* Effect.promise(() => makeKey("one"))
      const now = Math.floor(Date.now() / 1_000)
      const refused = Effect.fnUntraced(function*(token: Promise<string> | string, reason: string) {
        assert.strictEqual(yield* refusal(authenticate, yield* Effect.promise(async () => token)), reason)
      })
      const signed = (claims: Record<string, unknown>, header: Record<string, unknown> = {}) =>
        sign(issuer, key, { claims, header })
      yield* refused(signed({ aud: "https://other.test" }), "the token is for another audience")
      yield* refused(signed({ aud: undefined }), "the token is for another audience")
      yield* refused(signed({ iss: "https://evil.test" }), "the token is from another issuer")
      yield* refused(signed({ exp: now - 60 }), "the token has expired")
      yield* refused(signed({ exp: undefined }), "the token is not valid")
      yield* refused(signed({ nbf: now + 60 }), "the token is not valid yet")
      yield* refused(signed({ sub: undefined }), "the token names no subject")
      yield* refused(signed({}, { typ: "logout+jwt" }), "the token is not an access token")
      yield* refused(sign(issuer, stranger), "the token is not valid")
      yield* refused(sign(issuer, { ...stranger, kid: "unheard-of" }), "the token is signed with an unknown key")
      yield* refused(signed({ filler: "x".repeat(20_000) }), "the token is not valid")

      const claims = { iss: issuer, aud: audience, sub: "ada", exp: now + 300 }
      yield* refused(`${part({ alg: "none" })}.${part(claims)}.`, "the token is signed in a way that is not allowed")
      const good = yield* Effect.promise(() => signed({}))
      const [header = "", , signature = ""] = good.split(".")
      yield* refused(`${header}.${part({ ...claims, sub: "root" })}.${signature}`, "the token is not valid")
      yield* refused(`${header}.${part(claims)}.`, "the token is not valid")

      // Key confusion: the public key as the secret of an HMAC.
      const pem = yield* Effect.promise(() => Jose.exportSPKI(key.publicKey))
      for (const secret of [pem, JSON.stringify(state.keys[0]?.jwk)]) {
        for (const kid of ["one", "shared"]) {
          const forged = new Jose.SignJWT(claims).setProtectedHeader({ alg: "HS256", kid })
            .sign(new TextEncoder().encode(secret))
          yield* refused(forged, "the token is signed in a way that is not allowed")
        }
      }
      for (const noToken of ["opaque", "a.b.c", "..", "a.b.c.d.e", `fak_${"0".repeat(12)}_${"0".repeat(64)}`]) {
        yield* refused(noToken, "the token is not valid")
      }
      // A key of the token's own is not the issuer's.
      yield* refused(
        new Jose.SignJWT(claims).setProtectedHeader({ alg: "ES256", jwk: stranger.jwk }).sign(stranger.privateKey),
        "the token is not valid"
      )
      const nothing = yield* Effect.flip(authenticate(Credentials.none))
      assert.deepInclude(nothing, { _tag: "Unauthenticated", reason: "credentials are required" })
    }).pipe(Effect.scoped))

  it.effect("expiry follows the clock with tolerance, also for cached tokens", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.now())
      const key = yield* Effect.promise(() => makeKey("one"))
      const { issuer } = yield* startIssuer(key)
      const authenticate = yield* startAuth({ issuer, audience, refreshInterval: "10 days" })
      const now = Math.floor((yield* Clock.currentTimeMillis) / 1_000)
      const token = yield* Effect.promise(() => sign(issuer, key, { claims: { exp: now + 60, nbf: now + 3 } }))
      yield* authenticate(shown(token))
      yield* TestClock.adjust("62 seconds")
      yield* authenticate(shown(token))
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* refusal(authenticate, token), "the token has expired")
    }).pipe(Effect.scoped))

  it.live("no valid token fails while keys rotate under load", () =>
    Effect.gen(function*() {
      const { authenticate, issuer, key, state } = yield* start()
      const next = yield* Effect.promise(() => makeKey("two"))
      state.delay = 20
      const tokens = yield* Effect.promise(() =>
        Promise.all(
          Array.from(
            { length: 200 },
            (_, i) => sign(issuer, i % 2 === 0 ? key : next, { claims: { sub: `user-${i}` } })
          )
        )
      )
      const before = state.reads
      const unknown = Effect.fnUntraced(function*(i: number) {
        const token = yield* Effect.promise(() => sign(issuer, { ...key, kid: `random-${i}` }))
        assert.strictEqual(yield* refusal(authenticate, token), "the token is signed with an unknown key")
      })
      const flood = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 20 }, (_, i) => i), unknown, { concurrency: "unbounded", discard: true })
      )
      state.keys = [next, key]
      const principals = yield* Effect.forEach(tokens, (token) => authenticate(shown(token)), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(principals.map(({ id }) => id), tokens.map((_, i) => `user-${i}`))
      yield* Fiber.join(flood)
      assert.isBelow(state.reads - before, 6)
    }).pipe(Effect.scoped))

  it.live("tokens of a withdrawn key are refused", () =>
    Effect.gen(function*() {
      const { authenticate, issuer, key, state } = yield* start({ refreshInterval: "50 millis" })
      const token = yield* Effect.promise(() => sign(issuer, key))
      yield* authenticate(shown(token))
      state.keys = [yield* Effect.promise(() => makeKey("two"))]
      yield* Effect.sleep("1 second")
      assert.strictEqual(yield* refusal(authenticate, token), "the token is signed with an unknown key")
    }).pipe(Effect.scoped))

  it.live("the last keys stay in use while the issuer is down, and unknown keys are refused", () =>
    Effect.gen(function*() {
      const { authenticate, issuer, key, state } = yield* start({ refreshInterval: "50 millis" })
      state.down = true
      yield* Effect.sleep("200 millis")
      const known = yield* Effect.promise(() => sign(issuer, key))
      yield* authenticate(shown(known))
      const next = yield* Effect.promise(() => makeKey("two"))
      const fresh = yield* Effect.promise(() => sign(issuer, next))
      assert.strictEqual(yield* refusal(authenticate, fresh), "StoreUnavailable")
      state.down = false
      state.keys = [key, next]
      yield* authenticate(shown(fresh))
    }).pipe(Effect.scoped))

  it.live("the layer fails without its issuer, or when the issuer has another name", () =>
    Effect.gen(function*() {
      const { issuer, state } = yield* start()
      const fails = (issuer: string) => Effect.flip(startAuth({ issuer, audience }))
      assert.include((yield* fails(issuer.replace("127.0.0.1", "localhost"))).problem, "it calls itself")
      assert.include((yield* fails(`${issuer}/nowhere`)).problem, "it publishes no configuration")
      const opaque = startAuth({
        issuer,
        audience,
        introspection: { clientId: "a", clientSecret: Redacted.make("b") }
      })
      assert.include((yield* Effect.flip(opaque)).problem, "no introspection")
      state.down = true
      assert.include((yield* fails(issuer)).message, "does not answer")
    }).pipe(Effect.scoped))
})
