// How the cause of a failed run becomes the failure that is stored and shown. Segments and hooks call it; nothing of a
// defect leaves the server.
import { Cause, Effect, Option, Schema } from "effect"
import * as AiError from "effect/ai/AiError"
import type { Callable } from "../../app/Fusion.ts"
import { ClientRefused } from "../ClientRequest.ts"
import type { Failure } from "../Event.ts"
import { ModelEnd } from "../ModelEnd.ts"
import { InterruptDenied } from "../Run.ts"
import * as RunError from "../RunError.ts"

/** The errors that end a run with their own status and message, although no agent declares them. */
const Refusal = Schema.Union([
  RunError.Forbidden,
  RunError.RateLimited,
  RunError.TooManyOpen,
  RunError.HookBlocked,
  RunError.BudgetExceeded,
  RunError.PriceUnknown,
  RunError.OutputUnlimited,
  RunError.ToolDenied,
  RunError.ToolTimedOut,
  RunError.InvalidPayload,
  RunError.AmbiguousName,
  RunError.NotStorable,
  RunError.ThreadUnusable,
  RunError.InvalidContent,
  RunError.DeadlineExceeded,
  RunError.SideEffectTimeout,
  ...ModelEnd.members,
  RunError.FileNotFound,
  InterruptDenied,
  ClientRefused
])
type Refusal = typeof Refusal.Type

const statuses = new Map<string, number>(Refusal.members.map((schema) => {
  const status = Schema.resolveAnnotations(schema)?.["httpApiStatus"]
  return [schema.identifier, typeof status === "number" ? status : 500]
}))

const isRefusal = Schema.is(Refusal)

/** The agent's declared error, a refusal of the runtime, or `internalError`, which says nothing about the cause. */
export const failureOf = Effect.fnUntraced(function*(callable: Callable, cause: Cause.Cause<unknown>) {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  const declared = error === undefined ? undefined : yield* Effect.option(callable.error.encode(error))
  if (declared !== undefined && Option.isSome(declared) && callable.errors.length > 0) {
    const tag = tagOf(declared.value) ?? "Error"
    return {
      tag,
      message: messageOf(error) ?? tag,
      status: callable.errors.find((one) => one.tag === tag)?.status ?? 422,
      declared: true,
      value: declared.value
    } satisfies Failure
  }
  const errors = [error, ...cause.reasons.filter(Cause.isDieReason).map((reason) => reason.defect)]
  const refusal = errors
    // The door may refuse something to a run, such as a delegation; that refusal is then the run's own.
    .map((one) => one instanceof RunError.RunError ? one.reason : one)
    .find(isRefusal)
  if (refusal !== undefined) return refused(refusal)
  const failed = errors.find(AiError.isAiError)
  return failed === undefined ? internalError : modelFailed(failed)
})

/** The kind of a provider's failure; its words may hold what no caller should read, and are in the log. */
const modelFailed = ({ reason }: AiError.AiError): Failure => ({
  tag: "ModelFailed",
  message: `The language model failed (${reason._tag}). The server's log has its words under the trace id.`,
  status: 502,
  declared: false
})

/** A refusal as it is stored and shown. */
export const refused = (error: Refusal): Failure => ({
  tag: error._tag,
  message: error.message,
  status: statuses.get(error._tag) ?? 500,
  declared: false,
  ...(error instanceof InterruptDenied ? { value: valueOf(error) } : {}),
  ...RunError.asRule(error)
})

/** A typed client rebuilds the denial from this. */
const valueOf = ({ _tag, name, reason }: InterruptDenied) => ({
  _tag,
  name,
  ...(reason === undefined ? {} : { reason })
})

/** All that leaves the server about a defect; the cause is in the log. */
export const internalError: Failure = {
  tag: "InternalError",
  message: RunError.internalMessage,
  status: 500,
  declared: false
}

const tagOf = (value: unknown): string | undefined =>
  typeof value === "object" && value !== null && "_tag" in value && typeof value._tag === "string"
    ? value._tag
    : undefined

const messageOf = (error: unknown): string | undefined =>
  error instanceof Error && error.message !== "" ? error.message : undefined
