import { assert, describe, it } from "@effect/vitest"
import { Auth } from "@fastagentic/core/door/Auth"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { Oidc } from "../../src/oidc/index.ts"
import { audience } from "./issuer.ts"
import { startProvider } from "./provider.ts"

const Answer = Schema.Struct({ access_token: Schema.String })

const client = { id: "robot:1", secret: "s3cret/+%" }
const basic = `Basic ${btoa(`${encodeURIComponent(client.id)}:${encodeURIComponent(client.secret)}`)}`

const post = (url: string, fields: Record<string, string>) =>
  Effect.promise(() =>
    fetch(url, { method: "POST", headers: { authorization: basic }, body: new URLSearchParams(fields) })
  )

const tokenFrom = Effect.fnUntraced(function*(issuer: string, resource: string) {
  const response = yield* post(`${issuer}/token`, {
    grant_type: "client_credentials",
    scope: "orders:read",
    resource
  })
  const answer = yield* Schema.decodeUnknownEffect(Answer)(yield* Effect.promise(() => response.json()))
  return answer.access_token
})

const startAuth = (options: Oidc.Options) =>
  Effect.map(
    Layer.build(Oidc.layer(options).pipe(Layer.provide(FetchHttpClient.layer))),
    (context) => Context.get(context, Auth)
  )

const shown = (token: string) => ({ bearer: Redacted.make(token) })

describe("Oidc with a certified issuer", () => {
  it.live("its JWT access tokens are accepted", () =>
    Effect.gen(function*() {
      const { issuer } = yield* startProvider(client, "jwt")
      const { authenticate } = yield* startAuth({ issuer, audience })
      const token = yield* tokenFrom(issuer, audience)
      assert.strictEqual(token.split(".").length, 3)
      assert.deepInclude(yield* authenticate(shown(token)), { id: client.id, scopes: ["orders:read"], roles: [] })
      const elsewhere = yield* tokenFrom(issuer, "https://other.test")
      assert.include(yield* Effect.flip(authenticate(shown(elsewhere))), {
        reason: "the token is for another audience"
      })
    }).pipe(Effect.scoped))

  it.live("opaque tokens are introspected, and the answer is cached", () =>
    Effect.gen(function*() {
      const { issuer, stop } = yield* startProvider(client, "opaque")
      const { authenticate } = yield* startAuth({
        issuer,
        audience,
        introspection: { clientId: client.id, clientSecret: Redacted.make(client.secret), timeToLive: "2 seconds" }
      })
      const token = yield* tokenFrom(issuer, audience)
      assert.deepInclude(yield* authenticate(shown(token)), { id: client.id, scopes: ["orders:read"] })
      const elsewhere = yield* tokenFrom(issuer, "https://other.test")
      assert.include(yield* Effect.flip(authenticate(shown(elsewhere))), {
        reason: "the token is for another audience"
      })
      assert.include(yield* Effect.flip(authenticate(shown("guessed"))), { reason: "the token is not valid" })

      yield* post(`${issuer}/token/revocation`, { token })
      yield* authenticate(shown(token))
      yield* Effect.sleep("2100 millis")
      assert.include(yield* Effect.flip(authenticate(shown(token))), { reason: "the token is not valid" })

      yield* stop
      assert.include(yield* Effect.flip(authenticate(shown("other"))), { _tag: "StoreUnavailable" })
    }).pipe(Effect.scoped))
})
