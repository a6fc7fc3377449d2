// Asks the token endpoint of an issuer for a token, and keeps it until shortly before it expires. Callers that want the same
// token wait for one request. OAuthTokens calls it; no failure and no log line has a secret or a token.
import { TokenRefused, TokenUnavailable } from "@fastagentic/core/door/TokenSource"
import { Cache, Clock, Duration, Effect, Exit, Predicate, Redacted, Schema } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Bounded from "./bounded.ts"
import * as Issuer from "./issuer.ts"

export interface Client {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted
}

/** A request of a token: the parameters of its grant. Equal ones are one. */
export type Parameters = Readonly<Record<string, string>>

const Answer = Schema.Struct({
  access_token: Schema.String.check(Schema.isPattern(/^[\x21-\x7e]+$/u), Schema.isMaxLength(65_536)),
  token_type: Schema.String,
  expires_in: Schema.optionalKey(Schema.Union([Schema.Finite, Schema.FiniteFromString]))
})
const Refusal = Schema.Struct({ error: Schema.String })

const timeout = "10 seconds"
/** The most tokens that are kept. */
const capacity = 10_000
/** A token that says nothing about its end is kept for so long, and none longer than the other. */
const [unsaid, longest] = [60_000, 3_600_000]
/** A refusal is not asked for again in this time, nor a token that was refused by its server this young. */
const refusedFor = "5 seconds"
const tooYoung = 5_000
const metadataFor = "1 hour"

interface Held {
  readonly token: Redacted.Redacted
  readonly at: number
  readonly millis: number
}

export const make = Effect.fnUntraced(function*({ clientId, clientSecret, issuer }: Client) {
  const client = yield* HttpClient.HttpClient
  const refused = (code: string, problem: string) => new TokenRefused({ issuer, code, problem })
  const unavailable = (problem: string) => new TokenUnavailable({ issuer, problem })

  const metadata = yield* Cache.makeWith(
    (_key: "metadata") =>
      Issuer.discoverTokens(issuer).pipe(
        Effect.provideService(HttpClient.HttpClient, client),
        Effect.mapError(({ problem, rule }) =>
          rule === undefined ? unavailable(problem) : refused("EGRESS_REFUSED", problem)
        )
      ),
    { capacity: 1, timeToLive: (exit) => Exit.isSuccess(exit) ? metadataFor : "1 second" }
  )

  const ask = Effect.fnUntraced(function*(
    parameters: Parameters
  ): Effect.fn.Return<Held, TokenRefused | TokenUnavailable> {
    const { token_endpoint, token_endpoint_auth_methods_supported: methods = ["client_secret_basic"] } = yield* Cache
      .get(metadata, "metadata")
    const at = yield* Clock.currentTimeMillis
    const response = yield* Bounded.send(client, requestOf(token_endpoint, methods, parameters)).pipe(
      Effect.flatMap((response) =>
        Effect.map(
          Effect.orElseSucceed(Bounded.json(response, Schema.Unknown), () => undefined),
          (json) => ({ status: response.status, json })
        )
      ),
      Effect.timeout(timeout),
      Effect.mapError((error) => {
        const refusal = Bounded.refusalIn(error)
        return refusal === undefined
          ? unavailable("its token endpoint does not answer")
          : refused("EGRESS_REFUSED", `${refusal.message} (rule ${refusal.rule})`)
      })
    )
    const { json, status } = response
    if (status !== 200) {
      const { error } = yield* Effect.orElseSucceed(
        Schema.decodeUnknownEffect(Refusal)(json),
        () => ({ error: undefined })
      )
      const isPassing = status >= 500 || status === 429 || status === 408 || passing.has(error ?? "")
      return yield* isPassing
        ? unavailable(`its token endpoint answers ${status}`)
        : refused(codeOf(error) ?? `HTTP_${status}`, `its token endpoint answers ${status}`)
    }
    const answer = yield* Effect.mapError(
      Schema.decodeUnknownEffect(Answer)(json),
      () => unavailable("its token endpoint answers with no token")
    )
    if (!/^bearer$/iu.test(answer.token_type)) return yield* refused("TOKEN_TYPE", "its token is no bearer token")
    const whole = Math.min(longest, Math.max(0, (answer.expires_in ?? unsaid / 1_000) * 1_000))
    // A token is not used to its last moment: the request with it takes a while.
    return { token: Redacted.make(answer.access_token), at, millis: whole - Math.min(30_000, whole / 10) }
  })

  const requestOf = (endpoint: string, methods: ReadonlyArray<string>, parameters: Parameters) => {
    const request = HttpClientRequest.post(endpoint, { acceptJson: true })
    const secret = Redacted.value(clientSecret)
    return methods.includes("client_secret_basic")
      // RFC 6749: both are form-encoded before they become Basic credentials.
      ? HttpClientRequest.bodyUrlParams(request, parameters).pipe(
        HttpClientRequest.basicAuth(encodeURIComponent(clientId), Redacted.make(encodeURIComponent(secret)))
      )
      : HttpClientRequest.bodyUrlParams(request, { ...parameters, client_id: clientId, client_secret: secret })
  }

  const held = yield* Cache.makeWith(
    // cast: a key is the JSON of parameters.
    (key: string) => ask(JSON.parse(key) as Parameters),
    {
      capacity,
      timeToLive: (exit) =>
        Exit.match(exit, {
          onSuccess: ({ millis }) => Duration.millis(millis),
          onFailure: (cause) => cause.reasons.some(isRefusal) ? refusedFor : "1 second"
        })
    }
  )
  const keys = new WeakMap<Redacted.Redacted, string>()

  return {
    token: (parameters: Parameters) =>
      Effect.suspend(() => {
        const key = JSON.stringify(parameters)
        return Effect.map(Cache.get(held, key), ({ token }) => {
          keys.set(token, key)
          return token
        })
      }),
    /** Forgets a token, unless it is so new that its server would refuse the next one as well. */
    rejected: Effect.fnUntraced(function*(token: Redacted.Redacted) {
      const key = keys.get(token)
      if (key === undefined) return
      const now = yield* Clock.currentTimeMillis
      yield* Cache.invalidateWhen(held, key, (kept) => kept.token === token && now - kept.at > tooYoung)
    })
  }
})

const isRefusal = (reason: object) =>
  Predicate.hasProperty(reason, "error") && Predicate.isTagged(reason.error, "TokenRefused")

const passing: ReadonlySet<string> = new Set(["temporarily_unavailable", "server_error", "slow_down"])

/** An error of OAuth is a word; text of another kind is not repeated. */
const codeOf = (error: string | undefined) => error !== undefined && /^[a-z_]{1,60}$/u.test(error) ? error : undefined
