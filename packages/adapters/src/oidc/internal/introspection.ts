// Introspects opaque tokens at the issuer (RFC 7662); answers are cached.
import { StoreUnavailable, type Unauthenticated } from "@fastagentic/core/run/RunError"
import { Effect, Redacted, Schema, Semaphore } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { type Claims, refused } from "./claims.ts"

const Claimed = Schema.Record(Schema.String, Schema.Json)

/** The most requests in flight, so that callers cannot overload the issuer. */
const CONCURRENCY = 16

const TIMEOUT = "5 seconds"

/** Introspects opaque tokens (RFC 7662). */
export const make = Effect.fnUntraced(function*(endpoint: string, rules: {
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted<string>
  readonly issuer: string
  readonly audience: string | ReadonlyArray<string>
  readonly toleranceSeconds: number
  readonly now: () => number
}) {
  const client = yield* HttpClient.HttpClient
  const semaphore = yield* Semaphore.make(CONCURRENCY)
  const audiences = typeof rules.audience === "string" ? [rules.audience] : rules.audience
  // RFC 6749: both are form-encoded before they become Basic credentials.
  const base = HttpClientRequest.post(endpoint, { acceptJson: true }).pipe(
    HttpClientRequest.basicAuth(
      encodeURIComponent(rules.clientId),
      Redacted.make(encodeURIComponent(Redacted.value(rules.clientSecret)))
    )
  )
  const unavailable = () => Effect.fail(new StoreUnavailable({ operation: "introspect a token" }))

  const ask = (token: string) =>
    client.execute(HttpClientRequest.bodyUrlParams(base, { token, token_type_hint: "access_token" })).pipe(
      Effect.flatMap(HttpClientResponse.filterStatusOk),
      Effect.flatMap(HttpClientResponse.schemaBodyJson(Claimed)),
      Effect.timeout(TIMEOUT),
      semaphore.withPermits(1),
      Effect.catch(unavailable)
    )

  return Effect.fnUntraced(function*(token: string): Effect.fn.Return<Claims, Unauthenticated | StoreUnavailable> {
    const claims = yield* ask(token)
    if (claims["active"] !== true) return yield* refused("the token is not valid")
    const { aud, exp, iss, nbf } = claims
    const now = rules.now() / 1_000
    if (iss !== undefined && iss !== rules.issuer) return yield* refused("the token is from another issuer")
    if (!audiences.some((audience) => aud === audience || (Array.isArray(aud) && aud.includes(audience)))) {
      return yield* refused("the token is for another audience")
    }
    if (typeof exp === "number" && exp + rules.toleranceSeconds <= now) return yield* refused("the token has expired")
    if (typeof nbf === "number" && nbf - rules.toleranceSeconds > now) {
      return yield* refused("the token is not valid yet")
    }
    return claims
  })
})
