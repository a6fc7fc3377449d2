// Introspects opaque tokens at the issuer (RFC 7662). Equal tokens share a request, and an unknown token is remembered.
import { StoreUnavailable, type Unauthenticated } from "@fastagentic/core/run/RunError"
import { Deferred, Effect, Redacted, Schema, Semaphore } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Bounded from "./bounded.ts"
import { type Claims, refused } from "./claims.ts"
import { Sources } from "./sources.ts"

const Claimed = Schema.Record(Schema.String, Schema.Json)

/** The most requests in flight, so that callers cannot overload the issuer. */
const CONCURRENCY = 16

const TIMEOUT = "5 seconds"

/** How long a token is remembered that the issuer does not know, in milliseconds, and how many of them. */
const UNKNOWN_MILLIS = 10_000
const UNKNOWN_CAPACITY = 10_000

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
    Bounded.send(client, HttpClientRequest.bodyUrlParams(base, { token, token_type_hint: "access_token" })).pipe(
      Effect.flatMap(HttpClientResponse.filterStatusOk),
      Effect.flatMap((response) => Bounded.json(response, Claimed)),
      Effect.timeout(TIMEOUT),
      semaphore.withPermits(1),
      Effect.catch(unavailable)
    )

  const sources = new Sources()
  const scope = yield* Effect.scope
  const unknown = new Map<string, number>()
  const asked = new Map<string, Deferred.Deferred<Claims, StoreUnavailable>>()

  const isUnknown = (token: string) => {
    const until = unknown.get(token)
    if (until === undefined) return false
    if (until > rules.now()) return true
    unknown.delete(token)
    return false
  }

  const remember = (token: string) => {
    const [oldest] = unknown.size >= UNKNOWN_CAPACITY ? unknown.keys() : []
    if (oldest !== undefined) unknown.delete(oldest)
    unknown.set(token, rules.now() + UNKNOWN_MILLIS)
  }

  /** The answer about a token. The request runs in its own fiber: callers with the same token wait for it together. */
  const shared = (token: string, source: string) =>
    Effect.suspend(() => {
      const known = asked.get(token)
      if (known !== undefined) return Deferred.await(known)
      const answer = Deferred.makeUnsafe<Claims, StoreUnavailable>()
      asked.set(token, answer)
      const asking = Effect.onExit(sources.within(source, ask(token)), (exit) =>
        Effect.sync(() => {
          asked.delete(token)
          if (exit._tag === "Success" && exit.value["active"] !== true) remember(token)
          Deferred.doneUnsafe(answer, exit)
        }))
      return Effect.andThen(Effect.forkIn(asking, scope), Deferred.await(answer))
    })

  return Effect.fnUntraced(function*(
    token: string,
    source: string
  ): Effect.fn.Return<Claims, Unauthenticated | StoreUnavailable> {
    if (isUnknown(token)) return yield* refused("the token is not valid")
    const claims = yield* shared(token, source)
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
