import { Cause, Effect, Option, Schema } from "effect"
import type { Callable } from "../../app/Fusion.ts"
import type { Failure } from "../Event.ts"
import * as RunError from "../RunError.ts"

const statusOf = (schema: Schema.Constraint) => {
  const status = Schema.resolveAnnotations(schema)?.["httpApiStatus"]
  return typeof status === "number" ? status : 500
}

/** Failures of ours that may end a run, with what a caller may know of them. */
const known: ReadonlyArray<{ readonly tag: string; readonly status: number }> = [
  RunError.Forbidden,
  RunError.RateLimited,
  RunError.HookBlocked,
  RunError.BudgetExceeded,
  RunError.PriceUnknown,
  RunError.OutputUnlimited,
  RunError.ToolDenied,
  RunError.InvalidPayload,
  RunError.StoreUnavailable,
  RunError.AmbiguousName,
  RunError.NotStorable
].map((schema) => ({ tag: schema.identifier, status: statusOf(schema) }))

/** What a caller gets to see of a cause: the agent's declared error, a refusal of ours, or nothing but that it failed. */
export const failureOf = Effect.fnUntraced(function*(callable: Callable, cause: Cause.Cause<unknown>) {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  const reasons = [error, ...cause.reasons.filter(Cause.isDieReason).map((reason) => reason.defect)]
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
  const ours = reasons
    // What the door refused to a run, such as a delegation, is refused to its caller.
    .map((one) => one instanceof RunError.RunError ? one.reason : one)
    .map((one) => known.find((candidate) => candidate.tag === tagOf(one)) && one)
    .find((one) => one !== undefined)
  return refusalOf(ours) ?? internalError
})

const refusalOf = (error: unknown): Failure | undefined => {
  if (error instanceof RunError.Forbidden) return refusal(error, `refused by rule "${error.rule}"`)
  if (error instanceof RunError.RateLimited) return refusal(error, `refused by rule "${error.rule}"`)
  if (error instanceof RunError.HookBlocked) return refusal(error, error.reason)
  if (error instanceof RunError.BudgetExceeded) return refusal(error, `budget "${error.budget}" is used up`)
  if (error instanceof RunError.PriceUnknown) {
    return refusal(error, `a budget is in force, and the price of the model "${error.model}" is not known`)
  }
  if (error instanceof RunError.OutputUnlimited) {
    return refusal(error, `a budget is in force, and the model "${error.model}" has no limit on its output tokens`)
  }
  if (error instanceof RunError.ToolDenied) {
    return refusal(error, error.reason ?? `the call of ${error.tool} was denied`)
  }
  if (error instanceof RunError.AmbiguousName || error instanceof RunError.NotStorable) {
    return refusal(error, error.message)
  }
  if (error instanceof RunError.InvalidPayload) return refusal(error, "the stored payload no longer fits the agent")
  return undefined
}

const refusal = (error: { readonly _tag: string }, message: string): Failure => ({
  tag: error._tag,
  message,
  status: known.find((one) => one.tag === error._tag)?.status ?? 500,
  declared: false,
  ...RunError.asRule(error)
})

/** All that leaves the server about a defect; the cause is in the log. */
export const internalError: Failure = {
  tag: "InternalError",
  message: "the agent failed",
  status: 500,
  declared: false
}

const tagOf = (value: unknown): string | undefined =>
  typeof value === "object" && value !== null && "_tag" in value && typeof value._tag === "string"
    ? value._tag
    : undefined

const messageOf = (error: unknown): string | undefined =>
  error instanceof Error && error.message !== "" ? error.message : undefined
