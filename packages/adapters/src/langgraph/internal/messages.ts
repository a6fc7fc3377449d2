// Converts LangChain messages to prompts, finish parts and JSON.
import type { BaseMessage, UsageMetadata } from "@langchain/core/messages"
import { Schema } from "effect"
import * as Prompt from "effect/ai/Prompt"
import * as Response from "effect/ai/Response"
import { fromText, toJson } from "../../adapter/Json.ts"
import { Part } from "../../adapter/ModelStep.ts"
import type { Library } from "./library.ts"

interface ToolCall {
  readonly id?: string | undefined
  readonly name: string
  readonly args: unknown
}

/** The fields that only a model's answers have. */
interface Answer {
  readonly tool_calls?: ReadonlyArray<ToolCall> | undefined
  readonly usage_metadata?: UsageMetadata | undefined
}

export const isAnswer = (message: BaseMessage): message is BaseMessage & Answer => message.type === "ai"

export const toolCallsOf = (message: BaseMessage): ReadonlyArray<ToolCall> =>
  isAnswer(message) ? message.tool_calls ?? [] : []

/** A model's reasoning in the formats that LangChain supports. */
export const reasoningOf = (message: BaseMessage): string => {
  if (typeof message.content === "string") return ""
  return message.content.map((block) => {
    const text = "reasoning" in block ? block["reasoning"] : "thinking" in block ? block["thinking"] : ""
    return typeof text === "string" ? text : ""
  }).join("")
}

/** All messages in a node's input or output: one, a list, a state, or commands that update one. */
export const messagesIn = (library: Library, value: unknown): ReadonlyArray<BaseMessage> => {
  const isMessage = (one: unknown) => library.messages.BaseMessage.isInstance(one)
  if (isMessage(value)) return [value]
  if (Array.isArray(value)) {
    return value.flatMap((one: unknown) =>
      isMessage(one) ? [one] : isCommand(one) ? messagesIn(library, one.update) : []
    )
  }
  if (isCommand(value)) return messagesIn(library, value.update)
  if (typeof value !== "object" || value === null) return []
  return Object.values(value).flatMap((field: unknown) =>
    isMessage(field) ? [field] : Array.isArray(field) ? field.filter(isMessage) : []
  )
}

const isCommand = (value: unknown): value is { readonly update: unknown } =>
  typeof value === "object" && value !== null && "lg_name" in value && value.lg_name === "Command" && "update" in value

const textPart = (text: string) => Prompt.makePart("text", { text })

const decodeParts = Schema.decodeUnknownSync(Schema.Array(Part))

/** The answer of a model of the app, where the message still says it: middleware may have edited the message. */
const partsOf = (message: BaseMessage): ReadonlyArray<Part> | undefined => {
  const own: unknown = message.additional_kwargs["fastagentic"]
  if (!Array.isArray(own)) return undefined
  const parts = decodeParts(own)
  const text = parts.map((part) => part.type === "text" ? part.text : "").join("")
  const calls = parts.flatMap((part) => part.type === "tool-call" ? [[part.id, part.name, part.arguments]] : [])
  const said = toolCallsOf(message).map(({ args, id, name }) => [id, name, args])
  return text === message.text && JSON.stringify(calls) === JSON.stringify(said) ? parts : undefined
}

/** A part of an answer of a model of the app, with what its provider attached to it. */
const ofApp = (part: Part) => {
  const options = part.metadata === undefined ? {} : { options: decodeOptions(part.metadata) }
  return part.type === "tool-call"
    ? Prompt.makePart("tool-call", {
      id: part.id,
      name: part.name,
      params: part.arguments,
      providerExecuted: false,
      ...options
    })
    : Prompt.makePart(part.type, { text: part.text, ...options })
}

const decodeOptions = Schema.decodeUnknownSync(Prompt.ProviderOptions)

const promptMessage = (message: BaseMessage): Prompt.Message => {
  switch (message.type) {
    case "system":
      return Prompt.makeMessage("system", { content: message.text })
    case "ai": {
      const parts = partsOf(message)
      if (parts !== undefined) return Prompt.makeMessage("assistant", { content: parts.map(ofApp) })
      const calls = toolCallsOf(message).map((call) =>
        Prompt.makePart("tool-call", {
          id: call.id ?? call.name,
          name: call.name,
          params: call.args,
          providerExecuted: false
        })
      )
      return Prompt.makeMessage("assistant", {
        content: message.text === "" ? calls : [textPart(message.text), ...calls]
      })
    }
    case "tool":
      return Prompt.makeMessage("tool", {
        content: [Prompt.makePart("tool-result", {
          id: "tool_call_id" in message ? String(message.tool_call_id) : "",
          name: message.name ?? "tool",
          isFailure: isFailure(message),
          providerExecuted: false,
          result: fromText(message.text)
        })]
      })
    default:
      return Prompt.makeMessage("user", { content: [textPart(message.text)] })
  }
}

export const isFailure = (message: BaseMessage): boolean => "status" in message && message.status === "error"

/** The conversation as hooks see it. */
export const promptOf = (messages: ReadonlyArray<BaseMessage>): Prompt.Prompt =>
  Prompt.fromMessages(messages.map(promptMessage))

const reasons: Record<string, Response.FinishReason> = {
  stop: "stop",
  end_turn: "stop",
  length: "length",
  max_tokens: "length",
  content_filter: "content-filter",
  tool_calls: "tool-calls",
  tool_use: "tool-calls"
}

const positive = (count: number | undefined) => count === undefined || count < 0 ? undefined : Math.trunc(count)

export const finishOf = (message: BaseMessage | undefined): Response.FinishPart => {
  const usage = message !== undefined && isAnswer(message) ? message.usage_metadata : undefined
  const { finish_reason, stop_reason } = message?.response_metadata ?? {}
  const called = message !== undefined && toolCallsOf(message).length > 0
  return Response.makePart("finish", {
    reason: reasons[String(finish_reason ?? stop_reason ?? "")] ?? (called ? "tool-calls" : "stop"),
    usage: new Response.Usage({
      inputTokens: {
        total: positive(usage?.input_tokens),
        uncached: undefined,
        cacheRead: positive(usage?.input_token_details?.cache_read),
        cacheWrite: positive(usage?.input_token_details?.cache_creation)
      },
      outputTokens: {
        total: positive(usage?.output_tokens),
        text: undefined,
        reasoning: positive(usage?.output_token_details?.reasoning)
      }
    }),
    response: undefined
  })
}

/** The result of a tool as JSON: the content of its message or the bare value. */
export const resultOf = (library: Library, output: unknown) =>
  library.messages.BaseMessage.isInstance(output)
    ? { result: contentOf(output), isError: isFailure(output) }
    : { result: toJson(output), isError: false }

const contentOf = (message: BaseMessage) =>
  typeof message.content === "string" ? fromText(message.content) : toJson(message.content)
