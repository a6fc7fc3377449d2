// Converts the conversation of an OpenAI agent to effect/ai's prompt, as hooks and budgets see it, and back when a hook has
// changed it; models.ts calls both.
import type { AgentInputItem, ModelRequest } from "@openai/agents"
import * as Prompt from "effect/ai/Prompt"
import { fromText, toJson } from "../../adapter/Json.ts"

const textPart = (text: string) => Prompt.makePart("text", { text })

const textOf = (content: unknown): string =>
  typeof content === "string"
    ? content
    : Array.isArray(content)
    ? content.map((part: unknown) =>
      typeof part === "object" && part !== null && "text" in part && typeof part.text === "string" ? part.text : ""
    ).join("")
    : ""

const messageOf = (item: AgentInputItem): ReadonlyArray<Prompt.Message> => {
  switch (item.type) {
    case "function_call":
      return [Prompt.makeMessage("assistant", {
        content: [
          Prompt.makePart("tool-call", {
            id: item.callId,
            name: item.name,
            params: fromText(item.arguments),
            providerExecuted: false
          })
        ]
      })]
    case "function_call_result":
      return [Prompt.makeMessage("tool", {
        content: [
          Prompt.makePart("tool-result", {
            id: item.callId,
            name: item.name,
            isFailure: false,
            providerExecuted: false,
            result: toJson(item.output)
          })
        ]
      })]
    case undefined:
    case "message": {
      const text = textOf(item.content)
      return item.role === "system"
        ? [Prompt.makeMessage("system", { content: text })]
        : [Prompt.makeMessage(item.role === "assistant" ? "assistant" : "user", { content: [textPart(text)] })]
    }
    default:
      return []
  }
}

/** The SDK keeps each text and each call of an answer as an item of its own; models take them as one message. */
const merged = (messages: ReadonlyArray<Prompt.Message>): ReadonlyArray<Prompt.Message> => {
  const all: Array<Prompt.Message> = []
  for (const message of messages) {
    const last = all.at(-1)
    if (last?.role === "assistant" && message.role === "assistant") {
      all[all.length - 1] = Prompt.makeMessage("assistant", { content: [...last.content, ...message.content] })
    } else if (last?.role === "tool" && message.role === "tool") {
      all[all.length - 1] = Prompt.makeMessage("tool", { content: [...last.content, ...message.content] })
    } else all.push(message)
  }
  return all
}

/** The conversation as hooks see it. */
export const promptOf = ({ input, systemInstructions }: ModelRequest): Prompt.Prompt =>
  Prompt.fromMessages([
    ...(systemInstructions === undefined ? [] : [Prompt.makeMessage("system", { content: systemInstructions })]),
    ...(typeof input === "string"
      ? [Prompt.makeMessage("user", { content: [textPart(input)] })]
      : merged(input.flatMap(messageOf)))
  ])

const itemsOf = (message: Prompt.Message): ReadonlyArray<AgentInputItem> => {
  switch (message.role) {
    case "system":
      return [{ type: "message", role: "system", content: message.content }]
    case "user":
      return [{
        type: "message",
        role: "user",
        content: message.content.flatMap((part) => part.type === "text" ? [part.text] : []).join("")
      }]
    case "assistant":
      return message.content.flatMap((part): ReadonlyArray<AgentInputItem> =>
        part.type === "text"
          ? [assistantItem(part.text)]
          : part.type === "tool-call"
          ? [callItem(part.id, part.name, part.params)]
          : []
      )
    case "tool":
      return message.content.flatMap((part): ReadonlyArray<AgentInputItem> =>
        part.type !== "tool-result" ? [] : [{
          type: "function_call_result",
          callId: part.id,
          name: part.name,
          status: "completed",
          output: typeof part.result === "string" ? part.result : JSON.stringify(part.result)
        }]
      )
  }
}

export const assistantItem = (text: string) => ({
  type: "message" as const,
  role: "assistant" as const,
  status: "completed" as const,
  content: [{ type: "output_text" as const, text }]
})

export const callItem = (callId: string, name: string, args: unknown) => ({
  type: "function_call" as const,
  callId,
  name,
  status: "completed" as const,
  arguments: JSON.stringify(args)
})

/** The request with a conversation that a hook has changed. */
export const withPrompt = (request: ModelRequest, { content }: Prompt.Prompt): ModelRequest => {
  const [first] = content
  if (request.systemInstructions === undefined || first?.role !== "system") {
    return { ...request, input: content.flatMap(itemsOf) }
  }
  return { ...request, systemInstructions: first.content, input: content.slice(1).flatMap(itemsOf) }
}
