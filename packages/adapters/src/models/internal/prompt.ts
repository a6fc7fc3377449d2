// Converts effect/ai's prompt to that of the provider interface. What a provider attached to a part of an earlier answer
// (signatures, ids, signed thinking) goes back to it with that part.
import type {
  LanguageModelV4FilePart,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  LanguageModelV4TextPart,
  LanguageModelV4ToolResultOutput,
  SharedV4ProviderOptions
} from "@ai-sdk/provider"
import * as Prompt from "effect/ai/Prompt"
import { toJson } from "../../adapter/Json.ts"
import { fieldsOf, isFields, textOf } from "./fields.ts"
import type { Names } from "./names.ts"

/** Names of tools and ids of calls as the provider takes them. */
interface Mapping {
  readonly names: Names
  readonly idOf: (id: string) => string
}

type Assistant = Extract<LanguageModelV4Message, { role: "assistant" }>["content"][number]

const optionsOf = (options: Prompt.ProviderOptions): { readonly providerOptions?: SharedV4ProviderOptions } => {
  let found: SharedV4ProviderOptions | undefined
  for (const [provider, value] of Object.entries(options)) {
    // cast: options of a part are JSON by their schema.
    if (isFields(value)) found = { ...found, [provider]: value as SharedV4ProviderOptions[string] }
  }
  return found === undefined ? {} : { providerOptions: found }
}

const textPart = ({ options, text }: Prompt.TextPart): LanguageModelV4TextPart => ({
  type: "text",
  text,
  ...optionsOf(options)
})

const dataOf = (data: Prompt.FilePart["data"]): LanguageModelV4FilePart["data"] => {
  if (data instanceof URL && data.protocol !== "data:") return { type: "url", url: data }
  if (data instanceof URL) return dataOf(data.href)
  if (typeof data === "string" && data.startsWith("data:")) {
    return { type: "data", data: data.slice(data.indexOf(",") + 1) }
  }
  return { type: "data", data }
}

const filePart = ({ data, fileName, mediaType, options }: Prompt.FilePart): LanguageModelV4FilePart => ({
  type: "file",
  mediaType,
  data: dataOf(data),
  ...(fileName === undefined ? {} : { filename: fileName }),
  ...optionsOf(options)
})

/** Providers refuse a call whose arguments are no object, also one that the model itself has made. */
const inputOf = (params: unknown): unknown =>
  isFields(params) ? params : params === undefined || params === null ? {} : { invalid_arguments: params }

const outputOf = ({ isFailure, modelOutput, result }: Prompt.ToolResultPart): LanguageModelV4ToolResultOutput => {
  if (modelOutput !== undefined) {
    return modelOutput.every(({ type }) => type === "text")
      ? { type: "text", value: Prompt.toolModelOutputToText(modelOutput) }
      : { type: "content", value: modelOutput.map((part) => part.type === "text" ? textPart(part) : filePart(part)) }
  }
  const { reason, type } = fieldsOf(result)
  if (type === "execution-denied") {
    return { type: "execution-denied", reason: textOf(reason) ?? "the call was denied" }
  }
  if (typeof result === "string") return { type: isFailure ? "error-text" : "text", value: result }
  // cast: a JSON value, with fields that may be written.
  const value = toJson(result) as Extract<LanguageModelV4ToolResultOutput, { type: "json" }>["value"]
  return { type: isFailure ? "error-json" : "json", value }
}

const resultPart = (part: Prompt.ToolResultPart, { idOf, names }: Mapping) => ({
  type: "tool-result" as const,
  toolCallId: idOf(part.id),
  toolName: names.toProvider(part.name),
  output: outputOf(part),
  ...optionsOf(part.options)
})

const assistantPart = (part: Prompt.AssistantMessagePart, mapping: Mapping): ReadonlyArray<Assistant> => {
  switch (part.type) {
    case "text":
      return [textPart(part)]
    case "reasoning":
      return [{ type: "reasoning", text: part.text, ...optionsOf(part.options) }]
    case "file":
      return [filePart(part)]
    case "tool-call":
      return [{
        type: "tool-call",
        toolCallId: mapping.idOf(part.id),
        toolName: mapping.names.toProvider(part.name),
        input: inputOf(part.params),
        ...(part.providerExecuted ? { providerExecuted: true } : {}),
        ...optionsOf(part.options)
      }]
    case "tool-result":
      return [resultPart(part, mapping)]
    default:
      return []
  }
}

const toMessage = (message: Prompt.Message, mapping: Mapping): LanguageModelV4Message => {
  switch (message.role) {
    case "system":
      return { role: "system", content: message.content, ...optionsOf(message.options) }
    case "user":
      return {
        role: "user",
        content: message.content.map((part) => part.type === "text" ? textPart(part) : filePart(part)),
        ...optionsOf(message.options)
      }
    case "assistant":
      return {
        role: "assistant",
        content: message.content.flatMap((part) => assistantPart(part, mapping)),
        ...optionsOf(message.options)
      }
    case "tool":
      return {
        role: "tool",
        content: message.content.flatMap((part) => part.type === "tool-result" ? [resultPart(part, mapping)] : []),
        ...optionsOf(message.options)
      }
  }
}

/** The messages of a prompt. */
export const toPrompt = (prompt: Prompt.Prompt, mapping: Mapping): LanguageModelV4Prompt =>
  prompt.content.map((message) => toMessage(message, mapping))

/** The ids of all calls in a prompt: a provider may use one of them again for another call. */
export const callIdsIn = (prompt: Prompt.Prompt): Set<string> => {
  const ids = new Set<string>()
  for (const message of prompt.content) {
    if (message.role !== "assistant") continue
    for (const part of message.content) if (part.type === "tool-call") ids.add(part.id)
  }
  return ids
}
