// Makes one call of a language model for a loop: hooks, budget, events, and a step that stores the answer.
// A call runs once per run; a resumed run reads the stored answer.
import type { Hook } from "@fastagentic/core"
import { Event, Run } from "@fastagentic/core"
import { Context, Effect, Exit, Layer, Option, Schema, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import * as Prompt from "effect/ai/Prompt"
import * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import * as ModelBudget from "../../adapter/ModelBudget.ts"
import { OutputLimit } from "../../adapter/OutputLimit.ts"
import { usageOf } from "../../adapter/PartEvents.ts"
import * as Tokens from "../../adapter/Tokens.ts"
import { argumentsOf, messageEvents } from "./messageEvents.ts"
import { totalOf } from "./usage.ts"

type AnySchema = Schema.Codec<unknown, unknown>

/** A tool of any kind, where its type does not matter. */
export type AnyTool = Tool.Tool<string, {
  readonly parameters: AnySchema
  readonly success: AnySchema
  readonly failure: AnySchema
  readonly failureMode: Tool.FailureMode
}>

export type AnyTools = Toolkit.WithHandler<Record<string, AnyTool>>

/** A tool call that the loop has to make: `id` is the provider's and stays in the prompt, `toolCallId` is globally unique. */
export const Call = Schema.Struct({
  id: Schema.String,
  toolCallId: Schema.String,
  name: Schema.String,
  arguments: Schema.Json
})

export type Call = typeof Call.Type

/** The part of a model call that the journal stores; the rest of the run is computed from it. */
export const Answer = Schema.Struct({
  said: Prompt.Prompt,
  text: Schema.String,
  calls: Schema.Array(Call),
  finishReason: Response.FinishReason,
  usage: Event.Usage
})

export type Answer = typeof Answer.Type

/** Calls the model once per run: a committed answer is not requested again. */
export const askModel = <R>(prompt: Prompt.Prompt, toolkit: AnyTools, limits: Limits<R>) =>
  Run.stepWith("model", Answer, answer(prompt, toolkit, limits))

/** Models that a budget may choose instead of the app's own, by name. */
export interface Limits<R> {
  readonly maxOutputTokens?: number
  readonly models?: Readonly<Record<string, Layer.Layer<LanguageModel.LanguageModel, never, R>>>
}

const answer = Effect.fnUntraced(function*<R>(prompt: Prompt.Prompt, toolkit: AnyTools, limits: Limits<R>) {
  const run = yield* Run.CurrentRun
  const model = Option.getOrElse(yield* Effect.serviceOption(Model.ModelName), () => "unknown")
  const requests = yield* openRequests(toolkit, limits)
  const toolCallIds = new Map<string, string>()
  const toolCallIdOf = (id: string) => {
    const known = toolCallIds.get(id) ?? idOf("call")
    toolCallIds.set(id, known)
    return known
  }
  const message = messageEvents(idOf("msg"), toolCallIdOf)
  const parts: Array<Response.AnyPart> = []
  const finish = (reason: string) => emitAll([...message.end(reason), ...requests.ended()])

  yield* run.hooks.llm({ callId: idOf("llm"), model, prompt }, requests.send).pipe(
    Stream.runForEach((part) => {
      if (part.type === "error") return Effect.fail(asAiError(part.error))
      parts.push(part)
      return emitAll(message.of(part))
    }),
    Effect.tapError(() => finish("error")),
    Effect.catchTag("HookBlocked", Effect.die)
  )

  const finishReason = parts.findLast((part) => part.type === "finish")?.reason ?? "unknown"
  yield* finish(finishReason)
  return {
    said: Prompt.fromResponseParts(parts),
    text: parts.map(textOf).join(""),
    calls: parts.flatMap((part) =>
      part.type !== "tool-call" || part.providerExecuted ? [] : [{
        id: part.id,
        toolCallId: toolCallIdOf(part.id),
        name: String(part.name),
        arguments: argumentsOf(part)
      }]
    ),
    finishReason,
    usage: totalOf(requests.spent)
  } satisfies Answer
})

const textOf = (part: Response.AnyPart) =>
  part.type === "text" ? part.text : part.type === "text-delta" ? part.delta : ""

const emitAll = (events: ReadonlyArray<Event.Event>) =>
  Run.CurrentRun.use((run) => Effect.forEach(events, run.emit, { discard: true }))

/**
 * The provider requests behind one call: none when a hook answers itself, several when it repeats the call. Their end
 * events are emitted after the message is complete.
 */
const openRequests = Effect.fnUntraced(function*<R>(toolkit: AnyTools, { maxOutputTokens, models = {} }: Limits<R>) {
  const run = yield* Run.CurrentRun
  const tools = Object.values(toolkit.tools).map(describe)
  const provider = Option.getOrUndefined(yield* Effect.serviceOption(Model.ProviderName))
  const spent: Array<Event.Usage> = []
  let said: ReadonlyArray<Event.Event> = []
  let count = 0

  const ended = () => {
    const events = said
    said = []
    return events
  }

  const send = (call: Hook.LlmCall) =>
    Stream.unwrap(Effect.gen(function*() {
      count++
      const callId = count === 1 ? call.callId : `${call.callId}#${count}`
      const spending = yield* Effect.provideService(
        ModelBudget.open({
          callId,
          model: call.model,
          provider,
          inputTokens: Tokens.ofPrompt(call.prompt, tools),
          maxOutputTokens,
          clamps: true,
          changesTo: (model) => Object.hasOwn(models, model)
        }),
        Run.CurrentRun,
        run
      )
      // A budget names another model only when that model is available here.
      const other = spending.model === call.model ? undefined : models[spending.model]
      let model = spending.model
      let last: Response.FinishPart | undefined
      const start = provider === undefined || other !== undefined ? { callId, model } : { callId, model, provider }
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
          said = [...said, ...endOf(callId, model, last?.reason, usage, exit)]
        })
      const language = other === undefined
        ? yield* LanguageModel.LanguageModel
        : Context.get(yield* Layer.build(other), LanguageModel.LanguageModel)
      return language.streamText({
        prompt: call.prompt,
        toolkit,
        disableToolCallResolution: true,
        toolCallValidation: "deferred"
      }).pipe(
        Stream.provideService(OutputLimit, spending.maxOutputTokens),
        Stream.tap(watch),
        Stream.onExit(end)
      )
    }))

  return { send, ended, spent }
})

const endOf = (
  callId: string,
  model: string,
  reason: string | undefined,
  usage: Event.Usage | undefined,
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
    : [{ type: "llm_end", data: { ...data, usage } }, { type: "usage", data: { callId, model, ...usage } }]
}

const describe = (tool: AnyTool) => ({
  name: tool.name,
  description: Tool.getDescription(tool),
  parameters: Tool.getJsonSchema(tool)
})

const asAiError = (error: unknown) =>
  AiError.isAiError(error) ? error : AiError.make({
    module: "ModelLoop",
    method: "run",
    reason: AiError.isAiErrorReason(error) ? error : new AiError.UnknownError({ description: String(error) })
  })

const idOf = (prefix: string) => `${prefix}_${globalThis.crypto.randomUUID()}`
