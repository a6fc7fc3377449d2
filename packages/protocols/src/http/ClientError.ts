// The errors of a client's calls, besides the declared ones.
import { InterruptDenied } from "@fastagentic/core/run/Run"
import * as RunError from "@fastagentic/core/run/RunError"
import { Schema } from "effect"
import * as Schemas from "./Schemas.ts"

/** No answer, or only a part of it. `request` is method and path, `detail` is the transport's error. */
export class Disconnected extends Schema.TaggedError<Disconnected>()("Disconnected", {
  request: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `The request ${this.request} got no answer: ${this.detail}`
  }
}

/** An answer that this protocol does not define. */
export class UnexpectedResponse extends Schema.TaggedError<UnexpectedResponse>()("UnexpectedResponse", {
  request: Schema.String,
  status: Schema.Int,
  detail: Schema.String
}) {
  override get message() {
    return `The request ${this.request} got an unexpected answer (${this.status}): ${this.detail}`
  }
}

/** The run ended without an answer: it crashed, was cancelled, or policy ended it, whose `rule` it names then. */
export class RunFailed extends Schema.TaggedError<RunFailed>()("RunFailed", {
  tag: Schema.String,
  status: Schema.Int,
  detail: Schema.String,
  rule: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return this.detail
  }
}

export const Reason = Schema.Union([
  ...RunError.Reason.members,
  InterruptDenied,
  Disconnected,
  UnexpectedResponse,
  RunFailed
])

export type Reason = typeof Reason.Type

/** A call failed; recover with `Effect.catchReason("ClientError", "RateLimited", …)`. It never holds credentials. */
export class ClientError extends Schema.TaggedError<ClientError>()("ClientError", {
  reason: Reason,
  traceId: Schema.optionalKey(Schema.String),
  runId: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return this.reason.message
  }
}

/** The run is suspended until `interrupts` are decided. */
export class RunSuspended extends Schema.TaggedError<RunSuspended>()("RunSuspended", {
  run: Schemas.Run,
  interrupts: Schema.Array(Schemas.Interrupt)
}) {
  override get message() {
    const names = this.interrupts.map(({ name }) => name).join(", ")
    return `The run "${this.run.runId}" waits for a decision about ${names}. Answer it, then follow the run.`
  }
}

/** Whether the same call may succeed a moment later. @category guards @since 0.1.0 */
export const isTransient = (error: unknown): boolean => {
  if (!(error instanceof ClientError)) return false
  switch (error.reason._tag) {
    case "Disconnected":
    case "ShuttingDown":
    case "StoreUnavailable":
      return true
    case "UnexpectedResponse":
      return error.reason.status >= 502 && error.reason.status <= 504
    default:
      return false
  }
}
