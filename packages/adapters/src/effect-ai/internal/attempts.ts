// How often a model is asked: again after a failure that passes, by the provider's own delay, and then the next model of a
// plan. modelCall.ts runs each attempt; a wait never outlasts the run's deadline.
import { Present, Run } from "@fastagentic/core"
import { Context, Duration, Effect, ExecutionPlan, type Layer, Schedule } from "effect"
import type { AiError } from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"

/** The models that a loop asks, and how often. */
export type Plan<R> = ExecutionPlan.ExecutionPlan<{
  provides: LanguageModel.LanguageModel
  input: AiError
  error: never
  requirements: R
}>

/** Attempts of the first model, and of each that takes its place. */
const attempts = 4
const attemptsInstead = 2

/** A provider that asks for a longer wait is left to the next model of the plan. */
const longestWait = Duration.seconds(60)

const backoff = Schedule.exponential("500 millis").pipe(Schedule.jittered, Schedule.setInputType<AiError>())

/** The provider's delay where it names one. */
const waiting = Schedule.modifyDelay(
  backoff,
  ({ duration, input }) => Effect.succeed(input.retryAfter ?? Duration.min(duration, longestWait))
)

/** The first attempt of a model that takes another's place does not wait for what the other asked for. */
const waitingInstead = Schedule.modifyDelay(
  waiting,
  ({ attempt, duration }) => Effect.succeed(attempt === 1 ? Duration.zero : duration)
)

/** Whether another attempt of the same model makes sense, in the time that the run has. */
const passes = (error: AiError) =>
  Effect.map(Effect.all([Run.CurrentRun, Present.millis]), ([{ record: { deadline = Infinity } }, now]) => {
    const wait = Duration.toMillis(error.retryAfter ?? Duration.zero)
    return error.isRetryable && wait <= Duration.toMillis(longestWait) && now + wait < deadline
  })

/** A provider that does not have the model, or no longer. */
const isGone = ({ reason }: AiError) => "http" in reason && reason.http?.response?.status === 404

/** Only failures of a provider are worth another model: a prompt that is wrong is wrong for all. */
const isOfProvider = (error: AiError) => isGone(error) || !isOfPrompt(error)

const isOfPrompt = ({ reason }: AiError) =>
  reason._tag === "InvalidRequestError" || reason._tag === "ContentPolicyError" ||
  reason._tag === "InvalidUserInputError"

/** Asks one model again. */
export const again = ExecutionPlan.make({
  provide: Context.empty(),
  attempts,
  while: passes,
  schedule: waiting
})

export const planOf = <R>(
  models: readonly [
    Layer.Layer<LanguageModel.LanguageModel, never, R>,
    ...ReadonlyArray<Layer.Layer<LanguageModel.LanguageModel, never, R>>
  ]
): Plan<R | Run.CurrentRun> => {
  const [first, ...others] = models
  const plan = ExecutionPlan.make(
    { provide: first, attempts, while: passes, schedule: waiting },
    ...others.map((provide) => ({
      provide,
      attempts: attemptsInstead,
      while: isOfProvider,
      schedule: waitingInstead
    }))
  )
  // cast: every layer needs an `R`; the inferred type cannot be resolved while `R` is open.
  return plan as unknown as Plan<R | Run.CurrentRun>
}
