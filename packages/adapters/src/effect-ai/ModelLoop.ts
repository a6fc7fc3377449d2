/**
 * Implements an agent as a language model that calls tools until it has an answer.
 *
 * @since 0.1.0
 */
import { type Event, Run, type Thread } from "@fastagentic/core"
import { type ModelEnd, TurnLimitReached } from "@fastagentic/core/run/ModelEnd"
import * as NamedModels from "@fastagentic/core/run/NamedModels"
import { Context, Effect, type Layer, type Schema } from "effect"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import { type Plan, planOf } from "./internal/attempts.ts"
import { untilAnswered } from "./internal/loop.ts"
import type { AnySchema } from "./internal/output.ts"
import * as ToolLine from "./internal/toolLine.ts"
import type * as Turn from "./internal/turn.ts"
import { between } from "./internal/untrusted.ts"

export {
  /**
   * The model still requested tools in its last turn. Those calls were not made.
   *
   * @category errors
   * @since 0.1.0
   */
  TurnLimitReached
}
/**
 * The annotation of a tool whose calls may work side by side with other calls of their message. Without it those of a
 * read-only tool do (`Tool.Readonly`): `Tool.make(…).annotate(ModelLoop.Concurrent, true)`.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Concurrent: Context.Reference<boolean | undefined> = ToolLine.Concurrent

/**
 * The prompt, the tools and the limits of a loop.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<
  Tools extends Record<string, Tool.Any>,
  E,
  R,
  P = Run.CurrentRun,
  S extends AnySchema = typeof Schema.Undefined
> {
  readonly system?: string
  readonly prompt: Prompt.RawInput
  /** A `Toolkit`, or an effect that makes one. */
  readonly toolkit: Effect.Effect<Toolkit.WithHandler<Tools>, E, R>
  /** The most turns of the model; 16 by default. */
  readonly maxTurns?: number
  /** The most tokens of each answer, reasoning included. */
  readonly maxOutputTokens?: number
  /**
   * The model that the loop asks, by its name in the app (`Models.layerNamed`); by default the one that the agent declares,
   * and then the model of the layer.
   */
  readonly model?: string
  /** Models that a budget may call instead, by the names that its limits and the prices use. */
  readonly models?: Readonly<Record<string, Layer.Layer<LanguageModel.LanguageModel, never, R>>>
  /** The models to ask, and how often, see `plan`; by default the model of the layer, four times. */
  readonly plan?: Plan<P>
  /**
   * The schema of the final answer, such as the `successSchema` of the agent. The model gets it as a tool, or as a JSON
   * schema where its layer says so (`OutputMode`); an answer that does not fit is repaired once.
   */
  readonly output?: S
  /**
   * The model reads the history of the run's thread before the prompt, and the prompt and all that follows it become the
   * run's turn; `Thread.Options` limit the history, and can summarize it.
   */
  readonly thread?: true | Thread.Options<E, R>
}

/**
 * The models of a loop in the order in which they are asked: the first four times, each other one twice, when the failure
 * is the provider's. Waits are the provider's own where it names one, of a minute at most. Any `ExecutionPlan` will do.
 *
 * @category constructors
 * @since 0.1.0
 */
export const plan: <R = never>(
  ...models: readonly [
    Layer.Layer<LanguageModel.LanguageModel, never, R>,
    ...ReadonlyArray<Layer.Layer<LanguageModel.LanguageModel, never, R>>
  ]
) => Plan<R | Run.CurrentRun> = (...models) => planOf(models)

/**
 * Marks a text from outside, such as a resource or a page, for the model that reads it in a prompt. A loop with tools tells its
 * model never to follow instructions between the marks, or in results of tools.
 *
 * @category conversions
 * @since 0.1.0
 */
export const untrusted = (text: string, from: string): string => between(text, from)

/**
 * A tool call that was answered: `params` are the arguments that it ran with.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolResult extends Turn.Result {}

/**
 * The result of a loop: `text` is the model's whole text, `finishReason` that of its last turn, `output` the answer of the
 * schema that was asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Result<Output = undefined> {
  readonly output: Output
  readonly text: string
  readonly turns: number
  readonly toolResults: ReadonlyArray<ToolResult>
  readonly usage: Event.Usage
  readonly finishReason: Response.FinishReason
}

/**
 * Calls the model, makes the tool calls of its message, and calls it again, until it requests no more tools.
 *
 * **Details**
 *
 * Each answer of the model and each tool call is a step of the run: after a pause or a crash neither is repeated. The
 * answer is emitted as it arrives. Calls of read-only tools work side by side, others in the order of the message, and the
 * results go back in that order. A call that is denied, blocked by a hook, of an unknown tool or with wrong or incomplete
 * arguments is reported to the model, and so is a tool that throws or takes longer than its `Policy.Timeout`; a declared
 * failure of a tool with the failure mode `"error"` ends the loop.
 *
 * **Gotchas**
 *
 * An answer that a crash or a failing provider cut off is requested again: its first tokens stay in the journal, under
 * another `messageId`, and are superseded.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = Effect.fn("ModelLoop.run")(function*<
  Tools extends Record<string, Tool.Any>,
  E = never,
  R = never,
  P = Run.CurrentRun,
  S extends AnySchema = typeof Schema.Undefined
>(
  options: Options<Tools, E, R, P, S>
): Effect.fn.Return<
  Result<S["Type"]>,
  E | ModelEnd | Tool.HandlerError<Tools[keyof Tools]>,
  R | P | Tool.HandlerServices<Tools[keyof Tools]> | LanguageModel.LanguageModel | Run.CurrentRun
> {
  const current = yield* Run.CurrentRun
  const name = options.model ?? current.model
  const named = name === undefined ? Context.empty() : yield* NamedModels.get(name)
  const answered = untilAnswered(options).pipe(
    Effect.provide(named),
    // cast: `ToolCall` has erased the types of its tools; the failure is one of theirs, or of the model's.
    Effect.mapError((error) => error as E | ModelEnd | Tool.HandlerError<Tools[keyof Tools]>)
  )
  // Loops side by side have places of their own.
  const { output, ...result } = yield* current.places ? current.scope("model loop", answered, true) : answered
  // cast: the answer was read with the schema, and is absent where there is none.
  return { ...result, output: output as S["Type"] }
})
