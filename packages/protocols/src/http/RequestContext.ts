// One HTTP exchange: who calls, what the request carries, and how every answer is labelled.
import * as Caller from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import { Forbidden, InvalidPayload, type ReadFailed, RunError } from "@fastagentic/core/run/RunError"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { Cause, Effect, Option, Schema } from "effect"
import * as ByteSize from "effect/ByteSize"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import { Limits } from "../internal/limits.ts"
import { labelled } from "../internal/trace.ts"
import { issuesOf, summaryOf } from "./internal/issues.ts"
import { isForeign } from "./internal/origin.ts"
import * as Problem from "./Problem.ts"

/** Largest request body, in bytes. */
export const bodyLimit = 1_048_576

const limit = ByteSize.bytes(bodyLimit)

/** What a handler gets. */
export interface RequestContext {
  readonly runtime: Runtime["Service"]
  readonly request: HttpServerRequest.HttpServerRequest
  readonly caller: Caller.Caller
  readonly params: { readonly [name: string]: string | undefined }
  readonly query: URLSearchParams
}

/** A route, once it knows the runtime behind it. */
export type Route = (
  runtime: Runtime["Service"]
) => Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  HttpServerRequest.HttpServerRequest | HttpRouter.RouteContext
>

type Refusal =
  | RunError
  | ReadFailed
  | Problem.BadBody
  | Problem.BodyTooLarge
  | Problem.UnsupportedEncoding
  | Problem.NoSuchRoute
  | Problem.MethodNotAllowed

type Handler = (exchange: RequestContext) => Effect.Effect<HttpServerResponse.HttpServerResponse, Refusal>

/**
 * A route for known callers: each request is authenticated once, before anything of it is read, and the handler's calls of
 * the runtime do not authenticate again.
 */
export const handle = (handler: Handler): Route =>
  open((exchange) =>
    Effect.flatMap(exchange.runtime.authenticate(exchange.caller), (caller) => handler({ ...exchange, caller }))
  )

/**
 * A route for everybody: every failure becomes a problem, every answer carries the trace id and, when a limit was counted for
 * it, how much of it is left.
 */
export const open = (handler: Handler): Route => (runtime) =>
  Effect.flatMap(
    HttpServerRequest.HttpServerRequest,
    (request) =>
      Effect.flatMap(HttpRouter.params, (params) =>
        Effect.flatMap(Tracing.current, (span) => {
          const traceparent = request.headers["traceparent"]
          const limits = new Limits()
          const credentials = Credentials.fromHeaders(request.headers, Option.getOrUndefined(request.peerAddress))
          const caller = Caller.make("rest", { credentials, traceparent, span, onLimits: limits.keep })
          const exchange: RequestContext = { runtime, request, caller, params, query: queryOf(request.url) }
          const about = { traceId: caller.traceId, runId: params["runId"] }
          return (isForged(request, credentials) ? foreignPage : handler(exchange)).pipe(
            Effect.provideService(HttpIncomingMessage.MaxBodySize, limit),
            Effect.catchCause((cause) => refuse(cause, about)),
            Effect.map((response) => labelled(limits.told(response), caller))
          )
        }))
  )

/**
 * A browser adds its client certificate to whatever a page asks for, and asks nobody before a plain `POST`; keys and
 * tokens a page has to have itself.
 */
const isForged = (
  { headers, method }: HttpServerRequest.HttpServerRequest,
  { apiKey, bearer, forwarded }: Credentials.Credentials
) => forwarded !== undefined && apiKey === undefined && bearer === undefined && method !== "GET" && isForeign(headers)

const foreignPage = Effect.fail(new RunError({ reason: new Forbidden({ rule: "origin", missing: [] }) }))

/** The answer to a request for which the router has no route. */
export const noSuchAddress = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, method }) => {
  const caller = Caller.make("rest", { traceparent: headers["traceparent"] })
  return Effect.map(
    Problem.fromReason(new Problem.NoSuchRoute({ method }), { traceId: caller.traceId }),
    (response) => labelled(response, caller)
  )
})

const refuse = (
  cause: Cause.Cause<Refusal>,
  about: Problem.About
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error === undefined) {
    return Effect.as(
      Effect.annotateLogs(Effect.logError("A request failed unexpectedly", cause), { traceId: about.traceId }),
      Problem.internal(about)
    )
  }
  switch (error._tag) {
    case "RunError":
      return Problem.fromRunError(error, about)
    case "ReadFailed":
      return Effect.succeed(Problem.fromFailure(error.failure, about))
    default:
      return Problem.fromReason(error, about)
  }
}

const queryOf = (url: string) => {
  const start = url.indexOf("?")
  return new URLSearchParams(start === -1 ? "" : url.slice(start))
}

/** The JSON body; an empty one is an object without fields. */
export const body = (
  { request }: RequestContext
): Effect.Effect<unknown, Problem.BadBody | Problem.BodyTooLarge | Problem.UnsupportedEncoding> =>
  Effect.flatMap(textOf(request), (text) => text.trim() === "" ? Effect.succeed({}) : parse(text))

const textOf = (
  { headers, text }: HttpServerRequest.HttpServerRequest
): Effect.Effect<string, Problem.BadBody | Problem.BodyTooLarge | Problem.UnsupportedEncoding> => {
  const encoding = headers["content-encoding"] ?? "identity"
  if (!/^\s*(identity)?\s*$/iu.test(encoding)) return Effect.fail(new Problem.UnsupportedEncoding({ encoding }))
  return Effect.mapError(text, ({ reason }) =>
    reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"
      ? new Problem.BodyTooLarge({ limitBytes: bodyLimit })
      : new Problem.BadBody({ detail: "the body could not be read" }))
}

const parse = (text: string) =>
  Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: () => new Problem.BadBody({ detail: "the body is not JSON" })
  })

/** A body of a known shape. */
export const bodyAs = <S extends Schema.ConstraintCodec<unknown, unknown>>(exchange: RequestContext, schema: S) =>
  Effect.flatMap(body(exchange), (value) =>
    Effect.mapError(
      Schema.decodeUnknownEffect(Schema.toCodecJson(schema), { errors: "all", onExcessProperty: "error" })(value),
      (error) => new Problem.BadBody({ detail: summaryOf(error) })
    ))

/** The query by a shape. */
export const queryAs = <S extends Schema.ConstraintCodec<unknown, unknown>>(
  { query }: RequestContext,
  schema: S
): Effect.Effect<S["Type"], RunError> =>
  Schema.decodeUnknownEffect(schema, { errors: "all", onExcessProperty: "error" })(Object.fromEntries(query)).pipe(
    Effect.mapError((error) =>
      new RunError({ reason: new InvalidPayload({ target: "query", issues: issuesOf(error) }) })
    )
  )

/** A path parameter that the route's pattern has. */
export const param = (exchange: RequestContext, name: string): string => exchange.params[name] ?? ""
