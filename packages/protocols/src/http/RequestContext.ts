// One request of REST: its caller, body and query for a handler, and trace, limits and problem details on its answer.
import { decoder, problemsOf } from "@fastagentic/core/base/Validation"
import * as Caller from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import { InvalidPayload, type ReadFailed, RunError } from "@fastagentic/core/run/RunError"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { Cause, Context, Effect, Exit, Option, Schema, type Scope } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import { bodyBytes, bodyText, type Unread } from "../internal/bodyText.ts"
import { Limits } from "../internal/limits.ts"
import type { RequestLimits } from "../internal/requestLimits.ts"
import { withTrace } from "../internal/trace.ts"
import { summaryOf } from "./internal/issues.ts"
import * as Problem from "./Problem.ts"

/** The request and its caller, as a handler gets them. */
export interface RequestContext {
  readonly runtime: Runtime["Service"]
  readonly request: HttpServerRequest.HttpServerRequest
  readonly caller: Caller.Caller
  readonly params: { readonly [name: string]: string | undefined }
  readonly query: URLSearchParams
  readonly limits: RequestLimits
}

/** Answers a request with a runtime; its failures are answers already. */
export type Handler = (
  runtime: Runtime["Service"],
  limits: RequestLimits
) => Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  HttpServerRequest.HttpServerRequest | HttpRouter.RouteContext | Scope.Scope
>

type Refusal =
  | RunError
  | ReadFailed
  | Problem.BadBody
  | Problem.BodyTooLarge
  | Problem.BodyTooSlow
  | Problem.UnsupportedEncoding
  | Problem.UnsupportedMediaType
  | Problem.NoSuchRoute
  | Problem.MethodNotAllowed

type Answer = (
  context: RequestContext
) => Effect.Effect<HttpServerResponse.HttpServerResponse, Refusal, Scope.Scope>

/** The protocol that a route belongs to, and how it writes its refusals. */
export interface Manner {
  readonly protocol: Caller.Caller["protocol"]
  readonly render?: Problem.Render
}

const rest: Manner = { protocol: "rest" }

/**
 * A handler that authenticates each request once, before it is read; the answer's calls of the runtime do not authenticate
 * again.
 */
export const handle = (answer: Answer, manner: Manner = rest): Handler =>
  open(
    (context) =>
      Effect.flatMap(context.runtime.authenticate(context.caller), (caller) => answer({ ...context, caller })),
    manner
  )

/**
 * A handler without authentication: every failure becomes a problem, every answer carries the trace id and, when a limit
 * counted the request, the rest of that limit.
 */
export const open = (answer: Answer, { protocol, render }: Manner = rest): Handler => (runtime, limits) =>
  Effect.flatMap(
    Tracing.current,
    (span) =>
      Effect.contextWith((services: Context.Context<HttpServerRequest.HttpServerRequest | HttpRouter.RouteContext>) => {
        const request = Context.get(services, HttpServerRequest.HttpServerRequest)
        const { params } = Context.get(services, HttpRouter.RouteContext)
        const traceparent = request.headers["traceparent"]
        const counted = new Limits()
        const credentials = Credentials.fromHeaders(request.headers, Option.getOrUndefined(request.peerAddress))
        const caller = Caller.make(protocol, { credentials, traceparent, span, onLimits: counted.record })
        const context: RequestContext = {
          runtime,
          request,
          caller,
          params,
          query: queryOf(request.url),
          limits
        }
        const subject = { traceId: caller.traceId, runId: params["runId"], render }
        return answer(context).pipe(
          Effect.catchCause((cause) => refuse(cause, subject)),
          Effect.map((response) => withTrace(counted.addHeaders(response), caller))
        )
      })
  )

/** The answer to a request for which the router has no route at all. */
export const noSuchAddress = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, method }) => {
  const caller = Caller.make("rest", { traceparent: headers["traceparent"] })
  return Effect.map(
    Problem.fromReason(new Problem.NoSuchRoute({ method }), { traceId: caller.traceId }),
    (response) => withTrace(response, caller)
  )
})

/** The answer to a request whose route died. */
export const noAnswer = (
  cause: Cause.Cause<unknown>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
    const caller = Caller.make("rest", { traceparent: headers["traceparent"] })
    return Effect.map(internal(cause, { traceId: caller.traceId }), (response) => withTrace(response, caller))
  })

const internal = (cause: Cause.Cause<unknown>, subject: Problem.Subject) =>
  Effect.as(
    Effect.annotateLogs(Effect.logError("A request failed unexpectedly", cause), { traceId: subject.traceId }),
    Problem.internal(subject)
  )

const refuse = (
  cause: Cause.Cause<Refusal>,
  subject: Problem.Subject
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error === undefined) return internal(cause, subject)
  switch (error._tag) {
    case "RunError":
      return Problem.fromRunError(error, subject)
    case "ReadFailed":
      return Effect.succeed(Problem.fromFailure(error.failure, subject))
    default:
      return Problem.fromReason(error, subject)
  }
}

const queryOf = (url: string) => {
  const start = url.indexOf("?")
  return start === -1 ? noQuery : new URLSearchParams(url.slice(start))
}

/** Shared by all requests without a query: nothing changes the query of a request. */
const noQuery = new URLSearchParams()

/** The JSON body; an empty one is an object without fields. */
export const body = ({ limits, request }: RequestContext): Effect.Effect<unknown, BodyRefusal> =>
  Effect.flatMap(text({ limits, request }), (text) => text.trim() === "" ? Effect.succeed({}) : parse(text))

export type BodyRefusal = Problem.BadBody | Problem.BodyTooLarge | Problem.BodyTooSlow | Problem.UnsupportedEncoding

/** The body as text. */
export const text = ({ limits, request }: Pick<RequestContext, "limits" | "request">) => read(request, limits, bodyText)

/** The body as bytes. */
export const bytes = ({ limits, request }: RequestContext): Effect.Effect<Uint8Array, BodyRefusal> =>
  read(request, limits, bodyBytes)

const read = <A>(
  request: HttpServerRequest.HttpServerRequest,
  limits: RequestLimits,
  readBody: (request: HttpServerRequest.HttpServerRequest, limits: RequestLimits) => Effect.Effect<A, Unread>
): Effect.Effect<A, BodyRefusal> => {
  const encoding = request.headers["content-encoding"]
  if (encoding !== undefined && !/^\s*(identity)?\s*$/iu.test(encoding)) {
    return Effect.fail(new Problem.UnsupportedEncoding({ encoding }))
  }
  return Effect.mapError(readBody(request, limits), (unread) => {
    switch (unread) {
      case "TooLarge":
        return new Problem.BodyTooLarge({ limitBytes: limits.bodyBytes })
      case "TooSlow":
        return new Problem.BodyTooSlow({ limitMillis: limits.bodyMillis })
      case "Unreadable":
        return new Problem.BadBody({ detail: "the body could not be read" })
    }
  })
}

const parse = (text: string) =>
  Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: () => new Problem.BadBody({ detail: "the body is not JSON" })
  })

/** The body, decoded by a schema. */
export const bodyAs = <S extends Schema.ConstraintCodec<unknown, unknown>>(context: RequestContext, schema: S) =>
  Effect.flatMap(body(context), (value) =>
    Effect.mapError(
      decoder(Schema.toCodecJson(schema))(value),
      (error) => new Problem.BadBody({ detail: summaryOf(error) })
    ))

/** The body of a wire that is not ours, decoded by a schema: fields that the schema does not name are not read. */
export const openBodyAs = <S extends Schema.ConstraintCodec<unknown, unknown>>(context: RequestContext, schema: S) =>
  Effect.flatMap(body(context), (value) =>
    Effect.mapError(
      decoder(Schema.toCodecJson(schema), "ignore")(value),
      (error) => new Problem.BadBody({ detail: summaryOf(error) })
    ))

type QuerySchema = Schema.ConstraintCodec<unknown, unknown>

/** A schema of a query is read often: its decoder is made once, and most requests have no query at all. */
const queryDecoders = new WeakMap<QuerySchema, (query: unknown) => Effect.Effect<unknown, Schema.SchemaError>>()

const decoderOf = (schema: QuerySchema) => {
  const known = queryDecoders.get(schema)
  if (known !== undefined) return known
  const decode = decoder(schema)
  const ofNone = Effect.runSyncExit(decode({}))
  const made = (query: unknown) => query === none && Exit.isSuccess(ofNone) ? ofNone : decode(query)
  queryDecoders.set(schema, made)
  return made
}

const none: Record<string, string> = {}

/** The query, decoded by a schema. */
export const queryAs = <S extends QuerySchema>(
  { query }: RequestContext,
  schema: S
): Effect.Effect<S["Type"], RunError> =>
  decoderOf(schema)(query.size === 0 ? none : Object.fromEntries(query)).pipe(
    Effect.mapError((error) =>
      new RunError({ reason: new InvalidPayload({ target: "query", issues: problemsOf(error) }) })
    )
  )

/** A path parameter that the pattern of the route has. */
export const param = (context: RequestContext, name: string): string => context.params[name] ?? ""
