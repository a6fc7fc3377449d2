// Makes one call of a language model for a loop: hooks, events, attempts, and a step that stores the answer.
// A call runs once per run; a resumed run reads the stored answer.
import { type Event, Run } from "@fastagentic/core"
import { ContextExceeded } from "@fastagentic/core/run/ModelEnd"
import { Effect, Option, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import * as Prompt from "effect/ai/Prompt"
import { Answer } from "./answer.ts"
import { again, type Plan } from "./attempts.ts"
import { asRefusal, ending } from "./ends.ts"
import { idOf, Message } from "./message.ts"
import { type Ask, emitAll, type Limits, openRequests } from "./requests.ts"
import { totalOf } from "./usage.ts"

/** How a loop calls its model. */
export interface Calling<R, P> extends Limits<R> {
  readonly plan?: Plan<P>
}

/** Calls the model once per run: a committed answer is not requested again. */
export const askModel = <R, P>(ask: Ask, options: Calling<R, P>) => Run.stepWith("model", Answer, answer(ask, options))

const answer = Effect.fnUntraced(function*<R, P>(ask: Ask, options: Calling<R, P>) {
  const spent: Array<Event.Usage> = []
  let broken: Message | undefined
  const once = Effect.gen(function*() {
    // The words of an answer that broke off do not count once it is requested again.
    if (broken?.isStarted === true) yield* Run.CurrentRun.use((run) => run.retract)
    const message = new Message(ask.prompt)
    broken = message
    return yield* attempt(message, ask, options, spent)
  })
  const asked: Effect.Effect<
    Message,
    AiError.AiError,
    R | P | LanguageModel.LanguageModel | Run.CurrentRun
  > = options.plan === undefined
    ? Effect.withExecutionPlan(once, again)
    : Effect.withExecutionPlan(once, options.plan)
  const ended = yield* Effect.result(asked.pipe(
    Effect.catchDefect((defect) => defect instanceof ContextExceeded ? Effect.fail(defect) : Effect.die(defect)),
    Effect.catchTag("AiError", (error) => Effect.flatMap(modelName, (model) => Effect.fail(asRefusal(error, model))))
  ))
  if (ended._tag === "Failure") {
    const { failure } = ended
    if (!ask.shrinks || failure._tag !== "ContextExceeded") return yield* Effect.fail(failure)
    // The refusal is the answer of this step, so that a replay shortens the prompt at the same place.
    return { ...nothing, usage: totalOf(spent), end: "exceeded" } satisfies Answer
  }
  const message = ended.success
  const { calls, counted, finishReason, said, text } = message
  return { said, text, calls, finishReason, usage: totalOf(spent), ...counted, ...ending(message) } satisfies Answer
})

const modelName = Effect.map(Effect.serviceOption(Model.ModelName), Option.getOrElse(() => "unknown"))

const nothing = { said: Prompt.empty, text: "", calls: [], finishReason: "error" } as const

/** One request and its message, whole or not: each attempt has its own in the journal. */
const attempt = Effect.fnUntraced(function*<R>(
  message: Message,
  ask: Ask,
  limits: Limits<R>,
  spent: Array<Event.Usage>
): Effect.fn.Return<Message, AiError.AiError, R | LanguageModel.LanguageModel | Run.CurrentRun> {
  const run = yield* Run.CurrentRun
  const model = yield* modelName
  const requests = yield* openRequests(ask, limits, spent)
  const finish = (reason: string) => emitAll([...message.end(reason), ...requests.ended()])
  yield* run.hooks.llm({ callId: idOf("llm"), model, prompt: ask.prompt }, requests.send).pipe(
    Stream.runForEach((part) =>
      part.type === "error" ? Effect.fail(asAiError(part.error)) : emitAll(message.add(part))
    ),
    Effect.andThen(Effect.suspend(() => message.finishReason === "error" ? Effect.fail(brokeOff) : Effect.void)),
    Effect.tapError(() => finish("error")),
    Effect.catchTag("HookBlocked", Effect.die)
  )
  yield* finish(message.finishReason)
  return message
})

/** The provider has ended its answer with an error of its own. */
const brokeOff = AiError.make({
  module: "ModelLoop",
  method: "run",
  reason: new AiError.InternalProviderError({ description: "the answer ended with the finish reason error" })
})

const asAiError = (error: unknown) =>
  AiError.isAiError(error) ? error : AiError.make({
    module: "ModelLoop",
    method: "run",
    reason: AiError.isAiErrorReason(error) ? error : new AiError.UnknownError({ description: String(error) })
  })
