/**
 * Classifies an error that a framework threw.
 *
 * @since 0.1.0
 */
import type { Agent } from "@fastagentic/core"
import { ContextExceeded, type ModelEnd, ModelUnknown } from "@fastagentic/core/run/ModelEnd"
import { InterruptDenied } from "@fastagentic/core/run/Run"
import { BudgetExceeded, HookBlocked, OutputUnlimited, PriceUnknown } from "@fastagentic/core/run/RunError"
import { Effect, Option, Predicate, Schema } from "effect"
import * as AiError from "effect/ai/AiError"
import { asRefusal } from "../effect-ai/internal/ends.ts"
import { ModelError, type Thrown } from "./AdapterError.ts"
import { excessIn } from "./internal/contextWords.ts"

/** An error and its causes, outermost first. */
const chainOf = (error: unknown, depth = 5): ReadonlyArray<unknown> => {
  if (depth === 0 || !(error instanceof Error)) return [error]
  const inner = "errors" in error && Array.isArray(error.errors)
    ? error.errors
    : "cause" in error
    ? [error.cause]
    : []
  return [error, ...inner.flatMap((one: unknown) => chainOf(one, depth - 1))]
}

/** The agent's declared error, if the value is one: the class itself, or a tagged value that fits it. */
const declared = <E extends Agent.AnySchema>(schema: E, error: unknown): Option.Option<E["Type"]> => {
  if (!Predicate.hasProperty(error, "_tag")) return Option.none()
  return Schema.is(schema)(error) ? Option.some(error) : Schema.decodeUnknownOption(schema)(error)
}

const statusOf = (error: unknown): unknown =>
  Predicate.hasProperty(error, "status")
    ? error.status
    : Predicate.hasProperty(error, "statusCode")
    ? error.statusCode
    : Predicate.hasProperty(error, "response")
    ? statusOf(error.response)
    : undefined

/** Failures that a caller may see unchanged. */
const refusals = [HookBlocked, BudgetExceeded, PriceUnknown, OutputUnlimited]

/** A busy or unreachable provider may answer the next time. */
const isRetryable = (error: unknown) => {
  const status = statusOf(error)
  return typeof status !== "number" || status === 408 || status === 429 || status >= 500
}

/** Statuses whose words are about the account, not about the prompt. */
const isOfAccount = (status: unknown) => status === 401 || status === 402 || status === 403 || status === 429

const wordsOf = (error: unknown): string => {
  const fields = Predicate.isObject(error) ? error : {}
  const named = ["message", "code", "responseBody"].map((name) =>
    Predicate.hasProperty(fields, name) ? fields[name] : ""
  )
  return named.filter(Predicate.isString).join(" ")
}

/**
 * The agent's own error, a refusal by a hook or a budget, a prompt that was too long for its model, another failure of a
 * model, or else a defect. `modelFailures` has the
 * errors that models threw, with the model's name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const failureOf = <E extends Agent.AnySchema>(
  schema: E,
  modelFailures: WeakMap<object, string>,
  { cause: thrown }: Thrown
): Effect.Effect<never, E["Type"] | InterruptDenied | ModelEnd> => {
  const chain = chainOf(thrown)
  for (const error of chain) {
    const own = declared(schema, error)
    if (Option.isSome(own)) return Effect.fail(own.value)
    if (error instanceof InterruptDenied || error instanceof ModelUnknown) return Effect.fail(error)
    if (refusals.some((refusal) => error instanceof refusal)) return Effect.die(error)
  }
  for (const error of chain) {
    const model = Predicate.isObject(error) ? modelFailures.get(error) : undefined
    if (model === undefined) continue
    // A model of the app fails with typed errors, which every agent may have.
    if (AiError.isAiError(error)) return Effect.fail(asRefusal(error, model))
    const excess = isOfAccount(statusOf(error)) ? undefined : excessIn(wordsOf(error))
    return Effect.die(
      excess === undefined
        ? new ModelError({ model, retryable: isRetryable(error), cause: error })
        : new ContextExceeded({ model, isEstimate: false, ...excess })
    )
  }
  return Effect.die(thrown)
}
