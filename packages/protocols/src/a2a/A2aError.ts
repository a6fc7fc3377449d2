// The refusals of A2A, each with its JSON-RPC code and its reason.
import { problemsOf } from "@fastagentic/core/base/Validation"
import { asRule, type RunError } from "@fastagentic/core/run/RunError"
import { Schema } from "effect"
import { challengeFor } from "../internal/challenge.ts"
import type { RequestId } from "./A2aSchema.ts"

const Violation = Schema.Struct({ field: Schema.String, description: Schema.String })

/** A field and the problem with it. */
export type Violation = typeof Violation.Type

/** The canonical names of gRPC statuses that refusals have. */
const GrpcStatus = Schema.Literals([
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "UNAUTHENTICATED"
])

/**
 * A refusal on the wire, for every binding: `code` is that of JSON-RPC, `grpc` the status of gRPC, and `http` that of
 * HTTP+JSON. JSON-RPC answers errors with a code in A2A or JSON-RPC with 200, and refusals of the door with the `status`
 * that clients and proxies know.
 */
export class A2aError extends Schema.TaggedError<A2aError>()("A2aError", {
  code: Schema.Int,
  reason: Schema.String,
  message: Schema.String,
  grpc: GrpcStatus,
  http: Schema.Int,
  status: Schema.Int,
  violations: Schema.Array(Violation),
  metadata: Schema.Record(Schema.String, Schema.String),
  /** The time after which a retry may succeed. */
  retryAfterMillis: Schema.optionalKey(Schema.Int),
  headers: Schema.Record(Schema.String, Schema.String)
}) {}

const condition = (code: number, reason: string, grpc: typeof GrpcStatus.Type, http: number, status = 200) =>
(
  message: string,
  details: Partial<Pick<A2aError, "violations" | "metadata" | "retryAfterMillis" | "headers">> = {}
) => new A2aError({ code, reason, message, grpc, http, status, violations: [], metadata: {}, headers: {}, ...details })

/** A refusal of the door, which has no code in A2A. */
const refused = (reason: string, grpc: typeof GrpcStatus.Type, http: number) =>
  condition(-32000, reason, grpc, http, http)

/** The body is not JSON. */
export const parseError = condition(-32700, "PARSE_ERROR", "INVALID_ARGUMENT", 400)

/** The JSON is not one JSON-RPC 2.0 request. */
export const invalidRequest = condition(-32600, "INVALID_REQUEST", "INVALID_ARGUMENT", 400)

export const bodyTooLarge = condition(-32600, "REQUEST_TOO_LARGE", "RESOURCE_EXHAUSTED", 413, 413)

export const bodyTooSlow = condition(-32600, "REQUEST_TOO_SLOW", "DEADLINE_EXCEEDED", 408, 408)

/** The body is of another media type. */
export const notJson = condition(-32005, "CONTENT_TYPE_NOT_SUPPORTED", "INVALID_ARGUMENT", 415, 415)

export const methodNotFound = condition(-32601, "METHOD_NOT_FOUND", "UNIMPLEMENTED", 404)

/** HTTP+JSON has no such path. */
export const noSuchPath = condition(-32601, "NO_SUCH_PATH", "NOT_FOUND", 404)

/** The path of HTTP+JSON exists for other methods, which the `allow` header names. */
export const methodNotAllowed = condition(-32601, "METHOD_NOT_ALLOWED", "UNIMPLEMENTED", 405)

export const invalidParams = condition(-32602, "INVALID_PARAMS", "INVALID_ARGUMENT", 400)

export const internal = condition(-32603, "INTERNAL_ERROR", "INTERNAL", 500)

export const taskNotFound = condition(-32001, "TASK_NOT_FOUND", "NOT_FOUND", 404)

export const taskNotCancelable = condition(-32002, "TASK_NOT_CANCELABLE", "FAILED_PRECONDITION", 400)

export const pushNotSupported = condition(-32003, "PUSH_NOTIFICATION_NOT_SUPPORTED", "FAILED_PRECONDITION", 400)

export const unsupportedOperation = condition(-32004, "UNSUPPORTED_OPERATION", "FAILED_PRECONDITION", 400)

export const contentTypeNotSupported = condition(-32005, "CONTENT_TYPE_NOT_SUPPORTED", "INVALID_ARGUMENT", 400)

export const versionNotSupported = condition(-32009, "VERSION_NOT_SUPPORTED", "FAILED_PRECONDITION", 400)

/** The server stops, or its store is away. */
export const unavailable = (message: string) =>
  refused("UNAVAILABLE", "UNAVAILABLE", 503)(message, { headers: { "retry-after": "1" } })

/** A refusal of the runtime: its own message, with the code and reason of this protocol. */
export const fromRunError = ({ message, reason }: RunError): A2aError => {
  switch (reason._tag) {
    case "InvalidPayload":
      return invalidParams(message, {
        violations: reason.issues.map((issue) => ({ field: issue.path.join("."), description: issue.message }))
      })
    case "NotDeclared":
    case "InterruptNotFound":
    case "FileNotFound":
      return invalidParams(message)
    case "RunNotFound":
      return taskNotFound(message)
    case "RunFinished":
    case "InterruptResolved":
    case "DecisionPending":
    case "ThreadBusy":
    case "ThreadNotFound":
    case "ScheduleExists":
    case "FilesUnavailable":
      return unsupportedOperation(message)
    case "Unauthenticated":
      return refused("UNAUTHENTICATED", "UNAUTHENTICATED", 401)(message)
    case "Forbidden":
      return refused("FORBIDDEN", "PERMISSION_DENIED", 403)(message, {
        metadata: { rule: reason.rule, missing: reason.missing.join(" ") },
        headers: challengeFor(reason)
      })
    case "HookBlocked":
      return refused("FORBIDDEN", "PERMISSION_DENIED", 403)(message, { metadata: { ...asRule(reason) } })
    case "IdempotencyConflict":
      return refused("MESSAGE_ID_CONFLICT", "ALREADY_EXISTS", 409)(message, { metadata: { taskId: reason.runId } })
    case "RateLimited":
      return refused("RATE_LIMITED", "RESOURCE_EXHAUSTED", 429)(message, {
        metadata: {
          rule: reason.rule,
          limit: String(reason.limit),
          windowMillis: String(reason.windowMillis),
          retryAfterMillis: String(reason.retryAfterMillis)
        },
        retryAfterMillis: reason.retryAfterMillis,
        headers: { "retry-after": String(Math.ceil(reason.retryAfterMillis / 1_000)) }
      })
    case "TooManyOpen":
      return refused("RATE_LIMITED", "RESOURCE_EXHAUSTED", 429)(message, {
        metadata: { rule: reason.rule, limit: String(reason.limit) },
        headers: { "retry-after": "1" }
      })
    case "BudgetExceeded":
      return refused("BUDGET_EXCEEDED", "RESOURCE_EXHAUSTED", 402)(message, { metadata: { ...asRule(reason) } })
    case "ShuttingDown":
    case "StoreUnavailable":
      return unavailable(message)
    case "InvalidCursor":
    case "JournalDamaged":
      return internal(message)
  }
}

export const violationsOf = (error: Schema.SchemaError, under = ""): ReadonlyArray<Violation> =>
  problemsOf(error).map(({ message, path }) => ({
    field: (under === "" ? path : [under, ...path]).join("."),
    description: message
  }))

/** The details of an error in the forms of `google.rpc`. */
export const detailsOf = (error: A2aError, traceId: string) => [
  {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    reason: error.reason,
    domain: "a2a-protocol.org",
    metadata: { ...error.metadata, traceId }
  },
  ...(error.retryAfterMillis === undefined ? [] : [{
    "@type": "type.googleapis.com/google.rpc.RetryInfo",
    retryDelay: `${error.retryAfterMillis / 1_000}s`
  }]),
  ...(error.violations.length === 0 ? [] : [{
    "@type": "type.googleapis.com/google.rpc.BadRequest",
    fieldViolations: error.violations
  }])
]

/** The JSON-RPC response. */
export const toResponse = (error: A2aError, id: RequestId, traceId: string) => ({
  jsonrpc: "2.0",
  id,
  error: { code: error.code, message: error.message, data: detailsOf(error, traceId) }
})

/** The body of an error of HTTP+JSON. */
export const toStatus = (error: A2aError, traceId: string) => ({
  error: { code: error.http, status: error.grpc, message: error.message, details: detailsOf(error, traceId) }
})
