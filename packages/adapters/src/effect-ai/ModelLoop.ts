/**
 * Implements an agent as a language model that calls tools until it has an answer.
 *
 * @since 0.1.0
 */
import { type Event, Run } from "@fastagentic/core"
import { Effect, type Layer, Schema } from "effect"
import type * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import { type Answer, type AnyTools, askModel, type Limits } from "./internal/modelCall.ts"
import * as Node from "./internal/node.ts"
import { answerCall, resultPart } from "./internal/toolAnswer.ts"
import { totalOf } from "./internal/usage.ts"

/**
 * The model still requested tools in its last turn. Those calls were not made.
 *
 * @category errors
 * @since 0.1.0
 */
export class TurnLimitReached extends Schema.TaggedError<TurnLimitReached>()("TurnLimitReached", {
  maxTurns: Schema.Int
}, { httpApiStatus: 500 }) {}

/**
 * The prompt, the tools and the limits of a loop.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Tools extends Record<string, Tool.Any>, E, R> {
  readonly system?: string
  readonly prompt: Prompt.RawInput
  /** A `Toolkit`, or an effect that makes one. */
  readonly toolkit: Effect.Effect<Toolkit.WithHandler<Tools>, E, R>
  /** The most turns of the model; 16 by default. */
  readonly maxTurns?: number
  /** The most tokens of each answer, reasoning included. */
  readonly maxOutputTokens?: number
  /** Models that a budget may call instead, by the names that its limits and the prices use. */
  readonly models?: Readonly<Record<string, Layer.Layer<LanguageModel.LanguageModel, never, R>>>
}

/**
 * A tool call that was answered: `params` are the arguments that it ran with.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolResult {
  readonly toolCallId: string
  readonly name: string
  readonly params: Schema.Json
  readonly result: Schema.Json
  readonly isError: boolean
  readonly denied: boolean
}

/**
 * The result of a loop: `text` is the model's whole text, `finishReason` that of its last turn.
 *
 * @category models
 * @since 0.1.0
 */
export interface Result {
  readonly text: string
  readonly turns: number
  readonly toolResults: ReadonlyArray<ToolResult>
  readonly usage: Event.Usage
  readonly finishReason: Response.FinishReason
}

/**
 * Calls the model, makes the tool calls of its message concurrently, and calls it again, until it requests no more tools.
 *
 * **Details**
 *
 * Each answer of the model and each tool call is a step of the run: after a pause or a crash neither is repeated. The
 * answer is emitted as it arrives. A call that is denied, blocked by a hook, of an unknown tool or with wrong parameters
 * is reported to the model; a tool with the failure mode `"error"` ends the loop with its failure.
 *
 * **Gotchas**
 *
 * An answer that a crash cut off is requested again: its first tokens stay in the journal, under another `messageId`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = Effect.fn("ModelLoop.run")(function*<Tools extends Record<string, Tool.Any>, E = never, R = never>(
  options: Options<Tools, E, R>
): Effect.fn.Return<
  Result,
  E | TurnLimitReached | AiError.AiError | Tool.HandlerError<Tools[keyof Tools]>,
  R | Tool.HandlerServices<Tools[keyof Tools]> | LanguageModel.LanguageModel | Run.CurrentRun
> {
  const current = yield* Run.CurrentRun
  const answered = untilAnswered(options)
  // Loops side by side have places of their own.
  return yield* current.places ? current.scope("model loop", answered, true) : answered
})

const untilAnswered = Effect.fnUntraced(function*<Tools extends Record<string, Tool.Any>, E, R>(
  options: Options<Tools, E, R>
): Effect.fn.Return<
  Result,
  E | TurnLimitReached | AiError.AiError | Tool.HandlerError<Tools[keyof Tools]>,
  R | Tool.HandlerServices<Tools[keyof Tools]> | LanguageModel.LanguageModel | Run.CurrentRun
> {
  // cast: names and parameters of calls come from a model; the toolkit itself checks them.
  const toolkit = (yield* options.toolkit) as unknown as AnyTools
  const maxTurns = options.maxTurns ?? 16
  const answers: Array<Answer> = []
  const toolResults: Array<ToolResult> = []
  let prompt = promptOf(options)
  for (let number = 1;; number++) {
    const call = { nodeId: `turn_${number}`, name: `turn ${number}`, kind: "turn" } as const
    const turn = yield* Node.within(call, takeTurn({ prompt, toolkit, number, maxTurns, limits: options })).pipe(
      // cast: `ToolCall` has erased the types of its tools; the failure is one of theirs, or effect/ai's.
      Effect.mapError((error) => error as TurnLimitReached | AiError.AiError | Tool.HandlerError<Tools[keyof Tools]>)
    )
    answers.push(turn.answer)
    toolResults.push(...turn.toolResults)
    prompt = turn.prompt
    if (turn.answer.calls.length === 0) return resultOf(answers, toolResults, turn.answer)
  }
})

const takeTurn = Effect.fnUntraced(function*<R>(options: {
  readonly prompt: Prompt.Prompt
  readonly toolkit: AnyTools
  readonly number: number
  readonly maxTurns: number
  readonly limits: Limits<R>
}) {
  const { maxTurns, number, toolkit } = options
  const answer = yield* askModel(options.prompt, toolkit, options.limits)
  if (answer.calls.length > 0 && number >= maxTurns) return yield* new TurnLimitReached({ maxTurns })
  const prompt = Prompt.concat(options.prompt, answer.said)
  const { places } = yield* Run.CurrentRun
  const made = yield* Effect.forEach(answer.calls, (call, index) =>
    Effect.gen(function*() {
      const { arguments: params, ...outcome } = yield* answerCall(
        toolkit,
        call,
        prompt.content,
        places ? nameOf(answer.calls, index) : `call ${call.name}`
      )
      const part = yield* resultPart(toolkit.tools[call.name], call, outcome)
      return { result: { toolCallId: call.toolCallId, name: call.name, params, ...outcome }, part }
    }), { concurrency: places ? "unbounded" : 1 })
  const toolResults: ReadonlyArray<ToolResult> = made.map(({ result }) => result)
  const resultParts = made.map(({ part }) => part)
  const answered = resultParts.length === 0 ? [] : [Prompt.toolMessage({ content: resultParts })]
  return { answer, toolResults, prompt: Prompt.fromMessages([...prompt.content, ...answered]) }
})

/** The step of a call: where a message calls a tool again, its place among these calls. */
const nameOf = (calls: Answer["calls"], index: number) => {
  const name = calls[index]?.name ?? ""
  const before = calls.slice(0, index).filter((call) => call.name === name).length
  return before === 0 ? `call ${name}` : `call ${name} (${before + 1})`
}

const promptOf = ({ prompt, system }: { readonly prompt: Prompt.RawInput; readonly system?: string }) => {
  const base = Prompt.make(prompt)
  return system === undefined ? base : Prompt.setSystem(base, system)
}

const resultOf = (answers: ReadonlyArray<Answer>, toolResults: ReadonlyArray<ToolResult>, last: Answer): Result => ({
  text: answers.map(({ text }) => text).join(""),
  turns: answers.length,
  toolResults,
  usage: totalOf(answers.map(({ usage }) => usage)),
  finishReason: last.finishReason
})
