// The refusals of A2A, each with its JSON-RPC code and its reason.
import { problemsOf } from "@fastagentic/core/base/Validation"
import { asRule, type RunError } from "@fastagentic/core/run/RunError"
import { Schema } from "effect"
import { challengeFor } from "../internal/challenge.ts"
import type { RequestId } from "./A2aSchema.ts"

const Violation = Schema.Struct({ field: Schema.String, description: Schema.String })

/** A field and the problem with it. */
export type Violation = typeof Violation.Type

/**
 * A refusal on the wire. `status` is the HTTP status: errors with a code in A2A or JSON-RPC are sent with 200, refusals of
 * the door with the status that clients and proxies know.
 */
export class A2aError extends Schema.TaggedError<A2aError>()("A2aError", {
  code: Schema.Int,
  reason: Schema.String,
  message: Schema.String,
  status: Schema.Int,
  violations: Schema.Array(Violation),
  metadata: Schema.Record(Schema.String, Schema.String),
  /** The time after which a retry may succeed. */
  retryAfterMillis: Schema.optionalKey(Schema.Int),
  headers: Schema.Record(Schema.String, Schema.String)
}) {}

const condition = (code: number, reason: string, status = 200) =>
(
  message: string,
  details: Partial<Pick<A2aError, "violations" | "metadata" | "retryAfterMillis" | "headers">> = {}
) => new A2aError({ code, reason, message, status, violations: [], metadata: {}, headers: {}, ...details })

/** The body is not JSON. */
export const parseError = condition(-32700, "PARSE_ERROR")

/** The JSON is not one JSON-RPC 2.0 request. */
export const invalidRequest = condition(-32600, "INVALID_REQUEST")

export const bodyTooLarge = condition(-32600, "REQUEST_TOO_LARGE", 413)

export const bodyTooSlow = condition(-32600, "REQUEST_TOO_SLOW", 408)

export const notJson = condition(-32600, "UNSUPPORTED_MEDIA_TYPE", 415)

export const methodNotFound = condition(-32601, "METHOD_NOT_FOUND")

export const invalidParams = condition(-32602, "INVALID_PARAMS")

export const internal = condition(-32603, "INTERNAL_ERROR")

export const taskNotFound = condition(-32001, "TASK_NOT_FOUND")

export const taskNotCancelable = condition(-32002, "TASK_NOT_CANCELABLE")

export const pushNotSupported = condition(-32003, "PUSH_NOTIFICATION_NOT_SUPPORTED")

export const unsupportedOperation = condition(-32004, "UNSUPPORTED_OPERATION")

export const contentTypeNotSupported = condition(-32005, "CONTENT_TYPE_NOT_SUPPORTED")

export const versionNotSupported = condition(-32009, "VERSION_NOT_SUPPORTED")

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
      return condition(-32000, "UNAUTHENTICATED", 401)(message)
    case "Forbidden":
      return condition(-32000, "FORBIDDEN", 403)(message, {
        metadata: { rule: reason.rule, missing: reason.missing.join(" ") },
        headers: challengeFor(reason)
      })
    case "HookBlocked":
      return condition(-32000, "FORBIDDEN", 403)(message, { metadata: { ...asRule(reason) } })
    case "IdempotencyConflict":
      return condition(-32000, "MESSAGE_ID_CONFLICT", 409)(message, { metadata: { taskId: reason.runId } })
    case "RateLimited":
      return condition(-32000, "RATE_LIMITED", 429)(message, {
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
      return condition(-32000, "RATE_LIMITED", 429)(message, {
        metadata: { rule: reason.rule, limit: String(reason.limit) },
        headers: { "retry-after": "1" }
      })
    case "BudgetExceeded":
      return condition(-32000, "BUDGET_EXCEEDED", 402)(message, { metadata: { ...asRule(reason) } })
    case "ShuttingDown":
    case "StoreUnavailable":
      return condition(-32000, "UNAVAILABLE", 503)(message, { headers: { "retry-after": "1" } })
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

/** The JSON-RPC response. */
export const toResponse = (error: A2aError, id: RequestId, traceId: string) => ({
  jsonrpc: "2.0",
  id,
  error: {
    code: error.code,
    message: error.message,
    data: [
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
  }
})
