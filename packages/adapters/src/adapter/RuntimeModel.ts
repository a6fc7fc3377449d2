/**
 * The models of an app as a framework gets them: by name, with the key, the prices and the limits of the app. Each call is a
 * step.
 *
 * @since 0.1.0
 */
import { ModelUnknown } from "@fastagentic/core/run/ModelEnd"
import * as NamedModels from "@fastagentic/core/run/NamedModels"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Context, Effect, Option, Schema, Stream } from "effect"
import type * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import type { AnyTools } from "../effect-ai/internal/answer.ts"
import { again } from "../effect-ai/internal/attempts.ts"
import * as ProviderModel from "../models/ProviderModel.ts"
import { Thrown } from "./AdapterError.ts"
import * as JsonAnswer from "./internal/jsonAnswer.ts"
import { uniqueCalls, type Used } from "./internal/uniqueCalls.ts"
import * as ModelStep from "./ModelStep.ts"
import { OutputLimit } from "./OutputLimit.ts"

/** A tool as it is declared to a model. @category models @since 0.1.0 */
export interface Declared {
  readonly name: string
  readonly description?: string | undefined
  /** The JSON schema of its arguments. */
  readonly parameters: unknown
}

/** One call as the framework asks for it. @category models @since 0.1.0 */
export interface Asked {
  readonly prompt: Prompt.Prompt
  readonly tools: ReadonlyArray<Declared>
  readonly toolChoice?: "auto" | "none" | "required" | { readonly tool: string } | undefined
  /** The JSON schema of the answer, which is a text of JSON then. */
  readonly answer?: object | undefined
  readonly maxOutputTokens?: number | undefined
  readonly settings?: ProviderModel.Settings | undefined
}

/**
 * A model of the app.
 *
 * @category models
 * @since 0.1.0
 */
export interface RuntimeModel {
  readonly model: string
  readonly provider: string
  /**
   * Calls the model once per run; `onSend` is called when it is asked, and not for a stored answer. A failure of the
   * provider that passes is tried again until the answer begins.
   */
  readonly call: (asked: Asked, onSend?: () => void) => Effect.Effect<ModelStep.Reply, Thrown, CurrentRun>
}

/** The model of a name, by default the one that the agent declares, and then that of its layer. @category models @since 0.1.0 */
export type Find = (name?: string) => RuntimeModel

/**
 * The models of the run. An unknown name throws `ModelUnknown`, which ends the run as such. `used` has the ids of the calls of
 * the run so far, which no call gets again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (used: Used = new Set()): Effect.Effect<Find, never, CurrentRun> =>
  Effect.map(Effect.context<CurrentRun>(), (services) => {
    const named = Context.get(services, NamedModels.NamedModels)
    const { model: declared } = Context.get(services, CurrentRun)
    return (name = declared) => {
      const model = name === undefined ? ownOf(services) : NamedModels.find(named, name)
      if (model === undefined) throw new ModelUnknown({ model: name ?? "default", known: Object.keys(named) })
      return from(model, { services, named, used })
    }
  })

const ownOf = (services: Context.Context<never>): NamedModels.NamedModel | undefined =>
  Option.isNone(Context.getOption(services, LanguageModel.LanguageModel))
    ? undefined
    // cast: the layer of a model provides its names with it.
    : services as NamedModels.NamedModel

interface Surroundings {
  readonly services: Context.Context<CurrentRun>
  readonly named: { readonly [name: string]: NamedModels.NamedModel }
  /** The ids of the calls of this run so far. */
  readonly used: Used
}

const namesOf = (model: NamedModels.NamedModel) => ({
  model: Option.getOrElse(Context.getOption(model, Model.ModelName), () => "unknown"),
  provider: Option.getOrElse(Context.getOption(model, Model.ProviderName), () => "unknown")
})

const from = (own: NamedModels.NamedModel, around: Surroundings): RuntimeModel => {
  const names = namesOf(own)
  /** A hook or a budget may name another model of the app. */
  const other = (name: string) => NamedModels.find(around.named, name)
  const requestOf = (asked: Asked, onSend?: () => void): ModelStep.Request => ({
    ...names,
    prompt: asked.prompt,
    tools: asked.tools,
    maxOutputTokens: asked.maxOutputTokens,
    others: (name) => {
      const found = other(name)
      return found === undefined ? undefined : namesOf(found)
    },
    send: ({ maxOutputTokens, model, prompt = asked.prompt }) => {
      onSend?.()
      const chosen = model === names.model ? own : other(model) ?? own
      return { native: () => undefined, parts: partsOf(chosen, { ...asked, prompt, maxOutputTokens }, around) }
    }
  })
  /** An answer that was stored before has used its ids, too. */
  const noted = (reply: ModelStep.Reply) => {
    for (const part of reply.parts) if (part.type === "tool-call") around.used.add(part.id)
    return reply
  }
  return { ...names, call: (asked, onSend) => Effect.map(ModelStep.run(requestOf(asked, onSend)), noted) }
}

const partsOf = (
  chosen: NamedModels.NamedModel,
  { answer, maxOutputTokens, prompt, settings, toolChoice, tools }: Asked,
  { services, used }: Surroundings
): Stream.Stream<Response.AnyPart, Thrown> => {
  const context = Context.merge(services, chosen)
  const language = Context.get(context, LanguageModel.LanguageModel)
  const toolkit = toolkitOf(tools)
  const parts: Stream.Stream<Response.AnyPart, AiError.AiError> = answer === undefined
    ? language.streamText({
      prompt,
      toolkit,
      ...(toolChoice === undefined ? {} : { toolChoice }),
      disableToolCallResolution: true,
      toolCallValidation: "deferred"
    })
    : JsonAnswer.parts(language, { answer, prompt, toolkit })
  return parts.pipe(
    Stream.withExecutionPlan(again, { preventFallbackOnPartialStream: true }),
    Stream.provideService(OutputLimit, maxOutputTokens),
    settings === undefined ? (self) => self : Stream.provideService(ProviderModel.CurrentSettings, settings),
    Stream.provideContext(context),
    Stream.mapError((cause) => new Thrown({ cause })),
    Stream.map(uniqueCalls(used))
  )
}

/** The declarations of tools that the framework calls itself. */
const toolkitOf = (tools: ReadonlyArray<Declared>): AnyTools => {
  const made = tools.map(({ description, name, parameters }) =>
    [
      name,
      Tool.dynamic(name, {
        ...(description === undefined ? {} : { description }),
        parameters: { type: "object", ...Object(parameters) },
        success: Schema.Json
      })
    ] as const
  )
  const handle = () => Effect.die(new Error("the framework makes the calls of its tools"))
  // cast: the model reads the declarations, and calls are not resolved.
  return { tools: Object.fromEntries(made), handle } as unknown as AnyTools
}
