// Reads a prompt as a conversation: the open question and the tool calls made so far. The planner and the renderer use it.
import type * as Prompt from "effect/ai/Prompt"
import { type Token, tokenize } from "./words.ts"

/** One tool call of the conversation and its result. */
export interface ToolExchange {
  readonly tool: string
  readonly params: unknown
  readonly status: "pending" | "success" | "failure"
  readonly result: unknown
  /** Whether the call belongs to the question that is open now. */
  readonly current: boolean
  readonly position: number
}

export interface Conversation {
  readonly question: string
  readonly tokens: ReadonlyArray<Token>
  readonly exchanges: ReadonlyArray<ToolExchange>
  /** The length of the whole conversation, in characters. */
  readonly size: number
}

const textOf = (message: Prompt.Message): string =>
  typeof message.content === "string"
    ? message.content
    : message.content.flatMap((part) => part.type === "text" ? [part.text] : []).join(" ")

const sizeOf = (message: Prompt.Message): number =>
  typeof message.content === "string"
    ? message.content.length
    : message.content.reduce((size, part) => {
      switch (part.type) {
        case "text":
        case "reasoning":
          return size + part.text.length
        case "tool-call":
          return size + part.name.length + (JSON.stringify(part.params) ?? "").length
        case "tool-result":
          return size + (JSON.stringify(part.result) ?? "").length
        default:
          return size
      }
    }, 0)

export const read = (prompt: Prompt.Prompt): Conversation => {
  const messages = prompt.content
  const asked = messages.findLastIndex((message) => message.role === "user")
  const results = new Map<string, Prompt.ToolResultPart>()
  for (const message of messages) {
    if (typeof message.content === "string") continue
    for (const part of message.content) {
      if (part.type === "tool-result") results.set(part.id, part)
    }
  }
  const exchanges = messages.flatMap((message, index) =>
    message.role !== "assistant" ? [] : message.content.flatMap((part) => {
      if (part.type !== "tool-call") return []
      const result = results.get(part.id)
      const status: ToolExchange["status"] = result === undefined ? "pending" : result.isFailure ? "failure" : "success"
      return [{ tool: part.name, params: part.params, status, result: result?.result, current: index > asked }]
    })
  ).map((exchange, position) => ({ ...exchange, position }))
  const message = messages[asked]
  const question = message === undefined ? "" : textOf(message)
  return {
    question,
    tokens: tokenize(question),
    exchanges,
    size: messages.reduce((size, message) => size + sizeOf(message), 0)
  }
}
