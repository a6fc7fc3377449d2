// The provider requests behind one model call: budget, output limit, usage and the events of each. modelCall.ts sends them;
// every request that was begun ends in the journal.
import type { Hook } from "@fastagentic/core"
import { type Event, type Prices, Run } from "@fastagentic/core"
import * as NamedModels from "@fastagentic/core/run/NamedModels"
import { Context, Effect, Exit, Layer, Option, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import * as ModelBudget from "../../adapter/ModelBudget.ts"
import { OutputLimit } from "../../adapter/OutputLimit.ts"
import { OutputMode } from "../../adapter/OutputMode.ts"
import { usageOf } from "../../adapter/PartEvents.ts"
import * as Tokens from "../../adapter/Tokens.ts"
import type { AnyTool, AnyTools } from "./answer.ts"
import { checkContext, type Counted } from "./contextLimit.ts"
import { jsonParts } from "./jsonParts.ts"
import { hinted, type Output, withTool } from "./output.ts"

/** The longest answer, and models that a budget may choose instead of the app's own, by name. */
export interface Limits<R> {
  readonly maxOutputTokens?: number
  readonly models?: Readonly<Record<string, Layer.Layer<LanguageModel.LanguageModel, never, R>>>
}

/** A model that a call may use; the loop's own when it has neither layer nor context. */
interface Chosen<R> {
  readonly model: string
  readonly provider: string | undefined
  readonly layer?: Layer.Layer<LanguageModel.LanguageModel, never, R> | undefined
  readonly context?: Context.Context<LanguageModel.LanguageModel> | undefined
}

/** The request of one turn. */
export interface Ask {
  readonly prompt: Prompt.Prompt
  readonly toolkit: AnyTools
  /** The tokens that the provider has counted so far. */
  readonly counted?: Counted | undefined
  /** Whether the loop can make the prompt shorter when it is too long. */
  readonly shrinks?: boolean
  /** The schema of a JSON text, instead of text and calls. */
  readonly json?: Output
}

/**
 * The provider requests behind one call: none when a hook answers itself, several when it repeats the call. Their end
 * events are emitted after the message is complete, and `spent` gets what they used.
 */
export const openRequests = Effect.fnUntraced(function*<R>(
  { counted, json, prompt, toolkit }: Ask,
  { maxOutputTokens, models = {} }: Limits<R>,
  spent: Array<Event.Usage>
) {
  const run = yield* Run.CurrentRun
  const tools = Object.values(toolkit.tools).map(describe)
  const provider = Option.getOrUndefined(yield* Effect.serviceOption(Model.ProviderName))
  const own = Option.getOrElse(yield* Effect.serviceOption(Model.ModelName), () => "unknown")
  const named = yield* NamedModels.NamedModels
  let said: ReadonlyArray<Event.Event> = []
  let count = 0
  const fits = (call: Hook.LlmCall, model: Prices.Model) =>
    Effect.provideService(
      // A prompt that a hook has changed is not the one that the provider has counted.
      checkContext(model, call.prompt, tools, call.prompt === prompt ? counted : undefined),
      Run.CurrentRun,
      run
    )

  /** A model besides the loop's own that a hook or a budget names, under the name that prices know. */
  const chosen = (name: string): Chosen<R> => {
    if (name === own) return { model: name, provider }
    if (Object.hasOwn(models, name)) return { model: name, provider, layer: models[name] }
    const context = NamedModels.find(named, name)
    if (context === undefined) return { model: name, provider }
    return { model: Context.get(context, Model.ModelName), provider: Context.get(context, Model.ProviderName), context }
  }

  const ended = () => {
    const events = said
    said = []
    return events
  }

  const send = (call: Hook.LlmCall) =>
    Stream.unwrap(Effect.gen(function*() {
      count++
      const callId = count === 1 ? call.callId : `${call.callId}#${count}`
      const asked = chosen(call.model)
      yield* fits(call, { model: asked.model, provider: asked.provider })
      const spending = yield* Effect.provideService(
        ModelBudget.open({
          callId,
          model: asked.model,
          provider: asked.provider,
          inputTokens: Tokens.ofPrompt(call.prompt, tools),
          maxOutputTokens,
          clamps: true,
          changesTo: (model) => Object.hasOwn(models, model) || NamedModels.find(named, model) !== undefined
        }),
        Run.CurrentRun,
        run
      )
      // A budget names another model only when that model is available here.
      const changed = spending.model !== asked.model
      const used = changed ? chosen(spending.model) : asked
      if (changed) yield* Effect.onError(fits(call, { model: spending.model }), () => spending.cut)
      let model = spending.model
      let last: Response.FinishPart | undefined
      const isProviderKnown = used.provider !== undefined && (used.context !== undefined || model === own)
      const start = { callId, model, ...(isProviderKnown ? { provider: used.provider } : {}) }
      yield* emitAll([...ended(), { type: "llm_start", data: start }])
      const watch = (part: Response.AnyPart) =>
        Effect.sync(() => {
          if (part.type === "response-metadata") model = part.modelId ?? model
          if (part.type === "finish") last = part
          spending.see(part)
        })
      const end = <A, E>(exit: Exit.Exit<A, E>) =>
        Effect.gen(function*() {
          const reported = last === undefined ? undefined : usageOf(last)
          const isCut = reported === undefined && Exit.isFailure(exit)
          const usage = isCut ? yield* Effect.as(spending.cut, undefined) : yield* spending.end(reported)
          if (usage !== undefined) spent.push(usage)
          said = [
            ...said,
            ...endOf({ callId, model, reason: last?.reason, usage, isEstimate: reported === undefined }, exit)
          ]
        })
      const context = used.layer === undefined ? used.context : yield* Layer.build(used.layer)
      const language = context === undefined
        ? yield* LanguageModel.LanguageModel
        : Context.get(context, LanguageModel.LanguageModel)
      // A model that takes another's place may not take a schema; it gets the tool instead.
      const mode = context === undefined ? yield* OutputMode : Context.get(context, OutputMode)
      const parts: Stream.Stream<Response.AnyPart, AiError.AiError> = json === undefined || mode === "tool"
        ? language.streamText({
          prompt: json === undefined ? call.prompt : hinted(call.prompt, json),
          toolkit: json === undefined ? toolkit : withTool(toolkit, json),
          disableToolCallResolution: true,
          toolCallValidation: "deferred"
        })
        : jsonParts(language, { prompt: call.prompt, toolkit, json })
      return parts.pipe(
        Stream.provideService(OutputLimit, spending.maxOutputTokens),
        Stream.tap(watch),
        Stream.onExit(end)
      )
    }))

  return { send, ended }
})

interface Ended {
  readonly callId: string
  readonly model: string
  readonly reason: string | undefined
  readonly usage: Event.Usage | undefined
  readonly isEstimate: boolean
}

const endOf = (
  { callId, isEstimate, model, reason, usage }: Ended,
  exit: Exit.Exit<unknown, unknown>
): ReadonlyArray<Event.Event> => {
  const failure = Option.getOrUndefined(Exit.findErrorOption(exit))
  const data = {
    callId,
    finishReason: reason ?? (failure === undefined ? "unknown" : "error"),
    ...(AiError.isAiError(failure) ? { error: failure.reason._tag } : {})
  }
  return usage === undefined
    ? [{ type: "llm_end", data }]
    : [
      { type: "llm_end", data: { ...data, usage } },
      { type: "usage", data: { callId, model, ...(isEstimate ? { isEstimate } : {}), ...usage } }
    ]
}

const describe = (tool: AnyTool) => ({
  name: tool.name,
  description: Tool.getDescription(tool),
  parameters: Tool.getJsonSchema(tool)
})

export const emitAll = (events: ReadonlyArray<Event.Event>) =>
  Run.CurrentRun.use((run) => Effect.forEach(events, run.emit, { discard: true }))
