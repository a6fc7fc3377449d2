// Prompts and answers as the messages of OpenTelemetry's GenAI conventions, with a bound on each text.
import { Schema } from "effect"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"

/** A longer text is cut: a span waits in memory for its destination. */
const longest = 32_768

/** The latest messages of a longer prompt are kept; the earlier ones are in the spans of the earlier calls. */
const mostMessages = 100

const cut = (text: string) =>
  text.length <= longest ? text : `${text.slice(0, longest)}… [${text.length - longest} more characters]`

const isJson = Schema.is(Schema.Json)

/** A value that is no JSON, such as bytes, is left out. */
const json = (value: unknown): Schema.Json => {
  if (typeof value === "string") return cut(value)
  if (!isJson(value)) return null
  const text = JSON.stringify(value)
  return text.length <= longest ? value : cut(text)
}

/** A system message is apart from the conversation. */
export const promptMessages = ({ content }: Prompt.Prompt) => {
  const system = content.flatMap((message) => message.role === "system" ? [text(message.content)] : [])
  const messages = content.filter(({ role }) => role !== "system").slice(-mostMessages).map((message) => ({
    role: message.role,
    parts: typeof message.content === "string" ? [text(message.content)] : message.content.flatMap(promptPart)
  }))
  return { system, messages }
}

const text = (content: string) => ({ type: "text", content: cut(content) })

type Part = Exclude<Prompt.Message["content"], string>[number]

const promptPart = (part: Part): ReadonlyArray<Schema.Json> => {
  switch (part.type) {
    case "text":
      return [text(part.text)]
    case "reasoning":
      return [{ type: "reasoning", content: cut(part.text) }]
    case "tool-call":
      return [{ type: "tool_call", id: part.id, name: part.name, arguments: json(part.params) }]
    case "tool-result":
      return [{ type: "tool_call_response", id: part.id, response: json(part.result) }]
    case "file":
      return [{ type: "file", mime_type: part.mediaType }]
    default:
      return []
  }
}

/** Collects the parts of an answer as one message. */
export class AnswerMessage {
  private text = ""
  private reasoning = ""
  private readonly calls: Array<Schema.Json> = []
  private finishReason: string | undefined

  add(part: Response.AnyPart) {
    if (part.type === "text-delta") this.text += this.room(this.text, part.delta)
    else if (part.type === "text") this.text += this.room(this.text, part.text)
    else if (part.type === "reasoning-delta") this.reasoning += this.room(this.reasoning, part.delta)
    else if (part.type === "finish") this.finishReason = part.reason
    else if (part.type === "tool-call") {
      this.calls.push({ type: "tool_call", id: part.id, name: part.name, arguments: json(part.params) })
    }
  }

  get messages(): Schema.Json {
    const parts = [
      ...(this.reasoning === "" ? [] : [{ type: "reasoning", content: this.reasoning }]),
      ...(this.text === "" ? [] : [{ type: "text", content: this.text }]),
      ...this.calls
    ]
    return [{
      role: "assistant",
      parts,
      ...(this.finishReason === undefined ? {} : { finish_reason: this.finishReason })
    }]
  }

  private room(before: string, added: string) {
    return added.slice(0, Math.max(0, longest - before.length))
  }
}

/** A payload or an answer of an agent as a message. */
export const valueMessage = (role: "user" | "assistant", value: Schema.Json): Schema.Json => [
  { role, parts: [text(typeof value === "string" ? value : JSON.stringify(value))] }
]
