// Calls a foreign service over JSON: a time limit, a circuit breaker, typed failures. Guardrails, memory and evals use it; no
// failure and no log line has a header or a body of the request.
import { Cause, Context, Duration, Effect, type Exit, Layer, Redacted, Schema } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"

/** The failure of a call. `limited` and `unavailable` may succeed later; the others will not. */
export class ServiceFailed extends Schema.TaggedError<ServiceFailed>()("ServiceFailed", {
  service: Schema.String,
  kind: Schema.Literals(["denied", "invalid", "limited", "unavailable", "missing"]),
  reason: Schema.String,
  status: Schema.optionalKey(Schema.Int),
  retryAfterMillis: Schema.optionalKey(Schema.Finite)
}) {
  override get message() {
    return `${this.service} ${this.reason}`
  }
}

/** A service and how it is called. */
export interface ServiceOptions {
  readonly name: string
  readonly baseUrl: string
  readonly headers?: Readonly<Record<string, Redacted.Redacted>> | undefined
  readonly timeout: Duration.Input
}

/** A call of the service. */
export interface Call<A> {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE"
  readonly path: string
  readonly body?: Schema.Json
  readonly answer: Schema.Decoder<A>
}

export interface JsonService {
  readonly call: <A>(call: Call<A>) => Effect.Effect<A, ServiceFailed>
}

/** After so many failures in a row calls fail at once, for this long. */
const failures = 5
const openFor = "30 seconds"

/** Makes the client of a service; its circuit is its own. */
export const make = Effect.fnUntraced(function*({ baseUrl, headers = {}, name, timeout }: ServiceOptions) {
  const client = yield* HttpClient.HttpClient
  const stores = yield* Layer.build(CircuitBreaker.layerStoreMemory())
  const breaker = yield* CircuitBreaker.make({
    tripPolicy: CircuitBreaker.consecutive(failures),
    openDuration: openFor
  }).pipe(
    Effect.provideService(CircuitBreaker.CircuitBreakerStore, Context.get(stores, CircuitBreaker.CircuitBreakerStore))
  )
  const base = baseUrl.replace(/\/+$/u, "")
  const failed = (
    kind: ServiceFailed["kind"],
    reason: string,
    more: { status?: number; retryAfterMillis?: number } = {}
  ) => new ServiceFailed({ service: name, kind, reason, ...more })

  const call = <A>({ answer, body, method = "POST", path }: Call<A>): Effect.Effect<A, ServiceFailed> => {
    const request = HttpClientRequest.make(method)(`${base}${path}`, {
      headers: {
        accept: "application/json",
        ...Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, Redacted.value(value)]))
      }
    })
    const filled = body === undefined ? request : HttpClientRequest.bodyJsonUnsafe(request, body)
    const exchange = Effect.scoped(
      Effect.flatMap(
        client.execute(filled),
        (response) =>
          Effect.map(response.text, (text) => ({ status: response.status, headers: response.headers, text }))
      )
    ).pipe(
      Effect.timeout(timeout),
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.interrupt
          : Effect.fail(failed("unavailable", "cannot be reached"))
      )
    )
    return exchange.pipe(
      Effect.flatMap(({ headers, status, text }) => {
        if (status >= 200 && status < 300) {
          return Effect.mapError(
            Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Unknown))(text === "" ? "null" : text).pipe(
              Effect.flatMap(Schema.decodeUnknownEffect(answer))
            ),
            () => failed("invalid", "answers what its contract does not define", { status })
          )
        }
        return Effect.fail(
          failed(kindOf(status), `answers ${status}`, { status, ...retryAfter(headers["retry-after"]) })
        )
      }),
      (self) => breaker.execute(self, { key: name, classify: outcomeOf }),
      Effect.catchTag(
        "CircuitBreakerError",
        () => Effect.fail(failed("unavailable", "has failed several times and is not asked"))
      )
    )
  }
  return { call } satisfies JsonService
})

const kindOf = (status: number): ServiceFailed["kind"] =>
  status === 401 || status === 403
    ? "denied"
    : status === 404
    ? "missing"
    : status === 429
    ? "limited"
    : status >= 500 || status === 408
    ? "unavailable"
    : "invalid"

/** A refused request says nothing about the health of a service. */
const outcomeOf = (exit: Exit.Exit<unknown, ServiceFailed>): CircuitBreaker.Outcome => {
  if (exit._tag === "Success") return CircuitBreaker.success
  const error = exit.cause.reasons.find(Cause.isFailReason)?.error
  if (error === undefined) return CircuitBreaker.ignored
  return error.kind === "invalid" || error.kind === "missing"
    ? CircuitBreaker.ignored
    : CircuitBreaker.failure(error.retryAfterMillis === undefined ? undefined : { retryAfter: error.retryAfterMillis })
}

const retryAfter = (text: string | undefined) => {
  const seconds = text === undefined ? Number.NaN : Number(text)
  return Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMillis: Math.min(seconds, 3_600) * 1_000 } : {}
}
