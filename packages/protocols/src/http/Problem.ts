// The one error envelope of REST: RFC 9457 problem details.
import type { Failure } from "@fastagentic/core/run/Event"
import { asRule, internalMessage, Reason, type RunError } from "@fastagentic/core/run/RunError"
import { Effect, Schema } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { closing } from "../internal/bodyText.ts"
import { challengeFor } from "../internal/challenge.ts"
import { Problem } from "./ProblemDetails.ts"

export { Problem }

/** A body that is not JSON or does not fit its schema. */
export class BadBody
  extends Schema.TaggedError<BadBody>()("BadBody", { detail: Schema.String }, { httpApiStatus: 400 })
{
  override get message() {
    return `The body is not valid: ${this.detail}`
  }
}

/** A body over the limit. */
export class BodyTooLarge
  extends Schema.TaggedError<BodyTooLarge>()("BodyTooLarge", { limitBytes: Schema.Int }, { httpApiStatus: 413 })
{
  override get message() {
    return `The body is over the limit of ${this.limitBytes} bytes. Send less.`
  }
}

/** A body that did not arrive in time. */
export class BodyTooSlow
  extends Schema.TaggedError<BodyTooSlow>()("BodyTooSlow", { limitMillis: Schema.Int }, { httpApiStatus: 408 })
{
  override get message() {
    return `The body did not arrive within ${this.limitMillis} ms. Send it again, or less of it.`
  }
}

/** A compressed body; only plain bodies are read. */
export class UnsupportedEncoding extends Schema.TaggedError<UnsupportedEncoding>()("UnsupportedEncoding", {
  encoding: Schema.String
}, { httpApiStatus: 415 }) {
  override get message() {
    return `The body is encoded as "${this.encoding}". Send it without compression.`
  }
}

/** A body of a media type that this route does not take. */
export class UnsupportedMediaType extends Schema.TaggedError<UnsupportedMediaType>()("UnsupportedMediaType", {
  mediaType: Schema.String,
  accepted: Schema.Array(Schema.String)
}, { httpApiStatus: 415 }) {
  override get message() {
    return `The body is of the type "${this.mediaType}". Send it as ${this.accepted.join(" or ")}.`
  }
}

/** No route has this path and method. */
export class NoSuchRoute
  extends Schema.TaggedError<NoSuchRoute>()("NoSuchRoute", { method: Schema.String }, { httpApiStatus: 404 })
{
  override get message() {
    return "Nothing is served at this path. /openapi.json lists the paths."
  }
}

/** The path exists with other methods only. */
export class MethodNotAllowed extends Schema.TaggedError<MethodNotAllowed>()("MethodNotAllowed", {
  method: Schema.String,
  allowed: Schema.Array(Schema.String)
}, { httpApiStatus: 405 }) {
  override get message() {
    return `This path does not take ${this.method}. It takes ${this.allowed.join(", ")}.`
  }
}

/** A request for the WebSocket that does not ask for one. */
export class UpgradeRequired
  extends Schema.TaggedError<UpgradeRequired>()("UpgradeRequired", {}, { httpApiStatus: 426 })
{
  override get message() {
    return `This path is a WebSocket. Ask for "upgrade: websocket".`
  }
}

/** A handshake of a WebSocket that is not valid. */
export class BadHandshake
  extends Schema.TaggedError<BadHandshake>()("BadHandshake", { header: Schema.String }, { httpApiStatus: 400 })
{
  override get message() {
    return `The handshake of the WebSocket has no valid "${this.header}".`
  }
}

/** How a protocol writes a problem. */
export type Render = (problem: Problem, headers: Record<string, string>) => HttpServerResponse.HttpServerResponse

/** The trace and run that a problem belongs to, and how it is written; as problem details by default. */
export interface Subject {
  readonly traceId: string
  readonly runId?: string | undefined
  readonly render?: Render | undefined
}

const Known = Schema.Union([
  ...Reason.members,
  BadBody,
  BodyTooLarge,
  BodyTooSlow,
  UnsupportedEncoding,
  UnsupportedMediaType,
  NoSuchRoute,
  MethodNotAllowed,
  UpgradeRequired,
  BadHandshake
])
type Known = typeof Known.Type
const encode = Schema.encodeUnknownEffect(Schema.toCodecJson(Known))

const statuses = new Map(Known.members.map((schema) => {
  const status = Schema.resolveAnnotations(schema)?.["httpApiStatus"]
  return [schema.identifier, typeof status === "number" ? status : 500] as const
}))

export const fromRunError = ({ reason }: RunError, subject: Subject) => fromReason(reason, subject)

export const fromReason = Effect.fnUntraced(function*(reason: Known, subject: Subject) {
  const safe = reason._tag === "StoreUnavailable" ? { ...reason, cause: undefined } : reason
  const error = safe === reason
    ? { ...Object(yield* Effect.orDie(encode(reason))), ...asRule(reason) }
    : { _tag: reason._tag }
  return respond({
    type: `urn:fastagentic:error:${reason._tag}`,
    title: reason._tag,
    status: statuses.get(reason._tag) ?? 500,
    detail: reason.message,
    error,
    ...subject
  }, headersOf(reason))
})

const headersOf = (reason: Known): Record<string, string> => {
  switch (reason._tag) {
    case "Unauthenticated":
      return { "www-authenticate": "Bearer" }
    case "Forbidden":
      return challengeFor(reason)
    case "MethodNotAllowed":
      return { allow: reason.allowed.join(", ") }
    case "UpgradeRequired":
      return { upgrade: "websocket", connection: "Upgrade" }
    case "BadHandshake":
      return { "sec-websocket-version": "13" }
    case "UnsupportedEncoding":
      return { "accept-encoding": "identity" }
    case "BodyTooSlow":
      return closing
    case "RateLimited":
      return { "retry-after": String(Math.ceil(reason.retryAfterMillis / 1_000)) }
    case "TooManyOpen":
    case "ShuttingDown":
    case "StoreUnavailable":
      return { "retry-after": "1" }
    default:
      return {}
  }
}

/** A failed run, or a resource that failed with its own error. */
export const fromFailure = (failure: Failure, subject: Subject) =>
  respond({
    type: `urn:fastagentic:error:${failure.tag}`,
    title: failure.tag,
    status: failure.status,
    detail: failure.message,
    error: errorOf(failure),
    ...subject
  })

/** The agent's own typed error, or the tag and rule of one of the runtime. */
const errorOf = ({ rule, tag, value }: Failure): Schema.Json =>
  value ?? (rule === undefined ? { _tag: tag } : { _tag: tag, rule })

/** A defect: only the trace id leaves the server. */
export const internal = (subject: Subject) =>
  respond({
    type: "urn:fastagentic:error:InternalError",
    title: "InternalError",
    status: 500,
    detail: internalMessage,
    error: { _tag: "InternalError" },
    ...subject
  })

const respond = (
  { render = asDetails, runId, ...problem }: Omit<Problem, "runId"> & Subject,
  headers: Record<string, string> = {}
) =>
  render(runId === undefined ? problem : { ...problem, runId }, {
    ...headers,
    "x-trace-id": problem.traceId,
    ...(runId === undefined || !isPrintable(runId) ? {} : { "x-run-id": runId })
  })

const asDetails: Render = (problem, headers) =>
  HttpServerResponse.jsonUnsafe(problem, {
    status: problem.status,
    contentType: "application/problem+json",
    headers
  })

/** A run id in a path can hold characters that no header can carry. */
const isPrintable = (text: string) => /^[\x21-\x7e]+$/u.test(text)
