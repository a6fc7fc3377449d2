// Converts the AI SDK's prompt to effect/ai's, as hooks and budgets see it; models.ts calls it before each call.
import type {
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  LanguageModelV4TextPart,
  SharedV4ProviderOptions
} from "@ai-sdk/provider"
import { Schema } from "effect"
import * as Prompt from "effect/ai/Prompt"
import * as Base64 from "effect/encoding/Base64"
import { toJson } from "../../adapter/Json.ts"

type Content = Exclude<LanguageModelV4Message["content"], string>[number]
type FileContent = Extract<Content, { readonly type: "file" }>
type ResultContent = Extract<Content, { readonly type: "tool-result" }>

const decodeOptions = Schema.decodeUnknownSync(Prompt.ProviderOptions)

/** The options of a part: a provider gets back with the part all that it attached to it. */
const given = ({ providerOptions }: { readonly providerOptions?: SharedV4ProviderOptions | undefined }) =>
  providerOptions === undefined ? {} : { options: decodeOptions(toJson(providerOptions)) }

const textPart = ({ text, ...part }: LanguageModelV4TextPart) => Prompt.makePart("text", { text, ...given(part) })

const filePart = ({ data, filename, mediaType, ...part }: FileContent) => {
  const bytes = data.type === "url"
    ? data.url
    : data.type === "data"
    ? typeof data.data === "string" ? data.data : Base64.encode(data.data)
    : ""
  return Prompt.makePart("file", {
    mediaType,
    data: bytes,
    ...(filename === undefined ? {} : { fileName: filename }),
    ...given(part)
  })
}

const resultPart = ({ output, toolCallId, toolName, ...part }: ResultContent) =>
  Prompt.makePart("tool-result", {
    id: toolCallId,
    name: toolName,
    isFailure: output.type === "error-text" || output.type === "error-json" || output.type === "execution-denied",
    providerExecuted: false,
    result: "value" in output ? toJson(output.value) : toJson(output),
    ...given(part)
  })

const messageOf = (message: LanguageModelV4Message): Prompt.Message => {
  switch (message.role) {
    case "system":
      return Prompt.makeMessage("system", { content: message.content, ...given(message) })
    case "user":
      return Prompt.makeMessage("user", {
        content: message.content.map((part) => part.type === "text" ? textPart(part) : filePart(part))
      })
    case "assistant":
      return Prompt.makeMessage("assistant", {
        content: message.content.flatMap((part): ReadonlyArray<Prompt.AssistantMessagePart> => {
          switch (part.type) {
            case "text":
              return [textPart(part)]
            case "reasoning":
              return [Prompt.makePart("reasoning", { text: part.text, ...given(part) })]
            case "file":
              return [filePart(part)]
            case "tool-call": {
              const { input, providerExecuted = false, toolCallId, toolName } = part
              return [
                Prompt.makePart("tool-call", {
                  id: toolCallId,
                  name: toolName,
                  params: input,
                  providerExecuted,
                  ...given(part)
                })
              ]
            }
            case "tool-result":
              return [resultPart(part)]
            default:
              return []
          }
        })
      })
    case "tool":
      return Prompt.makeMessage("tool", {
        content: message.content.flatMap((part) => part.type === "tool-result" ? [resultPart(part)] : [])
      })
  }
}

/** The conversation as hooks see it. */
export const promptOf = (prompt: LanguageModelV4Prompt): Prompt.Prompt => Prompt.fromMessages(prompt.map(messageOf))
