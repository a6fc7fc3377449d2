// Reports the model calls of a graph: events, hooks and budget for each call.
import type { BaseMessage } from "@langchain/core/messages"
import type { LLMResult } from "@langchain/core/outputs"
import { Effect, Predicate } from "effect"
import type * as Prompt from "effect/ai/Prompt"
import * as Response from "effect/ai/Response"
import * as ModelCall from "../../adapter/ModelCall.ts"
import { type CallbackMetadata, inside } from "./callbackMetadata.ts"
import { finishOf, reasoningOf, toolCallsOf } from "./messages.ts"
import type { Session } from "./session.ts"

/** A call in progress and the text received so far. */
interface Answering {
  readonly call: ModelCall.ModelCall
  readonly model: string
  text: string
  messageId: string | undefined
  /** Ids of the tool calls whose arguments are streaming, by index. */
  readonly calls: Map<number, string>
}

interface ToolCallChunk {
  readonly index?: number | undefined
  readonly id?: string | undefined
  readonly name?: string | undefined
  readonly args?: string | undefined
}

const chunksOf = (message: BaseMessage & { readonly tool_call_chunks?: ReadonlyArray<ToolCallChunk> }) =>
  message.tool_call_chunks ?? []

const limitNames = ["max_completion_tokens", "max_tokens", "max_output_tokens", "maxOutputTokens", "maxTokens"]

const isLimit = (value: unknown): value is number => typeof value === "number" && value > 0

/** The parameters of a model call: LangChain's integrations report them as they send them. */
const limitsOf = (parameters: unknown, place: CallbackMetadata) => {
  const fields = Predicate.isObject(parameters) ? parameters : {}
  const value = (name: string) => Predicate.hasProperty(fields, name) ? fields[name] : undefined
  const tools = value("tools")
  return {
    maxOutputTokens: limitNames.map(value).find(isLimit) ?? place.maxOutputTokens,
    tools: Array.isArray(tools) ? tools : []
  }
}

/** The tags that LangGraph uses to exclude a model from the stream. */
const isVisible = (tags: ReadonlyArray<string>) => !tags.includes("nostream") && !tags.includes("langsmith:nostream")

export const make = (session: Session) => {
  const open = new Map<string, Answering>()

  const start = Effect.fnUntraced(function*(runId: string, place: CallbackMetadata, options: {
    readonly model: string
    readonly prompt: Prompt.Prompt
    readonly tags: ReadonlyArray<string>
    readonly parameters: unknown
  }) {
    const { model, prompt } = options
    const path = inside(place)
    const call = yield* ModelCall.open({
      call: { callId: runId, model, prompt },
      provider: place.provider,
      emit: (event) => session.emit(event, path, place.taskId),
      visible: isVisible(options.tags),
      ...limitsOf(options.parameters, place)
    })
    open.set(runId, { call, model, text: "", messageId: undefined, calls: new Map() })
  })

  /** The parts of an answer begin with the id of its message. */
  const identified = (runId: string, answering: Answering, message: BaseMessage | undefined) => {
    if (answering.messageId !== undefined) return []
    answering.messageId = message?.id ?? `run-${runId}`
    return [Response.makePart("response-metadata", {
      id: answering.messageId,
      modelId: answering.model,
      timestamp: undefined
    })]
  }

  const partsOf = (answering: Answering, text: string, message: BaseMessage | undefined) => {
    const parts: Array<Response.AnyPart> = []
    const reasoning = message === undefined ? "" : reasoningOf(message)
    if (reasoning !== "") parts.push(Response.makePart("reasoning-delta", { id: "reasoning", delta: reasoning }))
    if (text !== "") {
      if (answering.text === "") parts.push(Response.makePart("text-start", { id: "text" }))
      answering.text += text
      parts.push(Response.makePart("text-delta", { id: "text", delta: text }))
    }
    for (const { args, id, index = 0, name } of message === undefined ? [] : chunksOf(message)) {
      if (id !== undefined && id !== "" && !answering.calls.has(index)) {
        answering.calls.set(index, id)
        parts.push(Response.makePart("tool-params-start", { id, name: name ?? "", providerExecuted: false }))
      }
      const known = answering.calls.get(index)
      if (known !== undefined && args !== undefined && args !== "") {
        parts.push(Response.makePart("tool-params-delta", { id: known, delta: args }))
      }
    }
    return parts
  }

  /** Takes a token at once where the hooks and the journal are not behind; else gives what waits for them. */
  const token = (runId: string, text: string, message: BaseMessage | undefined) => {
    const answering = open.get(runId)
    if (answering === undefined) return undefined
    const head = identified(runId, answering, message)
    const rest = answering.call.offer([...head, ...partsOf(answering, message?.text ?? text, message)])
    return rest.length === 0 ? undefined : answering.call.add(rest)
  }

  const end = Effect.fnUntraced(function*(runId: string, result: LLMResult) {
    const answering = open.get(runId)
    if (answering === undefined) return
    open.delete(runId)
    const generation = result.generations[0]?.[0]
    const message = generation !== undefined && "message" in generation &&
        session.library.messages.BaseMessage.isInstance(generation.message)
      ? generation.message
      : undefined
    if (message !== undefined) session.see([message])
    const text = message?.text ?? generation?.text ?? ""
    // A model that does not stream, or only in part, reports the remaining text here.
    const rest = text.startsWith(answering.text) ? text.slice(answering.text.length) : ""
    const parts: Array<Response.AnyPart> = [
      ...identified(runId, answering, message),
      ...partsOf(answering, rest, undefined)
    ]
    if (answering.text !== "") parts.push(Response.makePart("text-end", { id: "text" }))
    for (const id of answering.calls.values()) parts.push(Response.makePart("tool-params-end", { id }))
    for (const call of message === undefined ? [] : toolCallsOf(message)) {
      const { args, id = call.name, name } = call
      parts.push(Response.makePart("tool-call", { id, name, params: args, providerExecuted: false }))
    }
    // Parts are refused only when the hooks have refused the answer; its end is refused then, too.
    yield* Effect.andThen(Effect.ignore(answering.call.add([...parts, finishOf(message)])), answering.call.end)
  })

  const fail = Effect.fnUntraced(function*(runId: string, cause: unknown) {
    const answering = open.get(runId)
    if (answering === undefined) return
    open.delete(runId)
    if (typeof cause === "object" && cause !== null) session.modelFailures.set(cause, answering.model)
    yield* answering.call.fail(cause)
  })

  return { start, token, end, fail }
}
