// Builds the body of a chat completions request.
import { Effect, Predicate } from "effect"
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import { toCodecOpenAI } from "effect/ai/OpenAiStructuredOutput"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Base64 from "effect/encoding/Base64"

type Body = Readonly<Record<string, unknown>>

const unsupported = (description: string) => new AiError.InvalidUserInputError({ description })

const dataUrl = (part: Prompt.FilePart, mediaType: string): string => {
  if (part.data instanceof URL) return part.data.href
  if (typeof part.data !== "string") return `data:${mediaType};base64,${Base64.encode(part.data)}`
  return part.data.startsWith("data:") ? part.data : `data:${mediaType};base64,${part.data}`
}

const base64Of = (url: string): string => url.slice(url.indexOf(",") + 1)

const filePart = (part: Prompt.FilePart): Effect.Effect<Body, AiError.InvalidUserInputError> => {
  const { mediaType } = part
  if (mediaType.startsWith("image/")) {
    const url = dataUrl(part, mediaType === "image/*" ? "image/jpeg" : mediaType)
    return Effect.succeed({ type: "image_url", image_url: { url } })
  }
  if (part.data instanceof URL) return Effect.fail(unsupported(`a URL of type ${mediaType} cannot be sent`))
  switch (mediaType) {
    case "audio/wav":
    case "audio/mp3":
    case "audio/mpeg": {
      const format = mediaType === "audio/wav" ? "wav" : "mp3"
      return Effect.succeed({ type: "input_audio", input_audio: { data: base64Of(dataUrl(part, mediaType)), format } })
    }
    case "application/pdf": {
      const file = { filename: part.fileName ?? "file.pdf", file_data: dataUrl(part, mediaType) }
      return Effect.succeed({ type: "file", file })
    }
    default:
      return Effect.fail(unsupported(`a file of type ${mediaType} cannot be sent`))
  }
}

const userContent = (
  parts: ReadonlyArray<Prompt.UserMessagePart>
): Effect.Effect<unknown, AiError.InvalidUserInputError> => {
  const [only, ...others] = parts
  if (only?.type === "text" && others.length === 0) return Effect.succeed(only.text)
  return Effect.forEach(
    parts,
    (part) => part.type === "text" ? Effect.succeed<Body>({ type: "text", text: part.text }) : filePart(part)
  )
}

const assistantMessage = ({ content }: Prompt.AssistantMessage): Body => {
  const text = content.flatMap((part) => part.type === "text" ? [part.text] : []).join("")
  const calls = content.flatMap((part) =>
    part.type !== "tool-call" || part.providerExecuted ? [] : [{
      id: part.id,
      type: "function",
      function: { name: part.name, arguments: JSON.stringify(part.params ?? {}) }
    }]
  )
  return { role: "assistant", content: text === "" ? null : text, ...(calls.length === 0 ? {} : { tool_calls: calls }) }
}

const resultText = ({ modelOutput, result }: Prompt.ToolResultPart): string =>
  modelOutput !== undefined
    ? Prompt.toolModelOutputToText(modelOutput)
    : typeof result === "string"
    ? result
    : JSON.stringify(result ?? null)

const toMessages = (message: Prompt.Message): Effect.Effect<ReadonlyArray<Body>, AiError.InvalidUserInputError> => {
  switch (message.role) {
    case "system":
      return Effect.succeed([{ role: "system", content: message.content }])
    case "user":
      return Effect.map(userContent(message.content), (content) => [{ role: "user", content }])
    case "assistant":
      return Effect.succeed([assistantMessage(message)])
    case "tool":
      return Effect.succeed(
        message.content.flatMap((part) =>
          part.type === "tool-result" ? [{ role: "tool", tool_call_id: part.id, content: resultText(part) }] : []
        )
      )
  }
}

const toTool = (tool: Tool.Any): Effect.Effect<Body, AiError.ToolConfigurationError> => {
  const name: string = tool.name
  if (Tool.isProviderDefined(tool)) {
    const description = "chat completions run no tools of the provider"
    return Effect.fail(new AiError.ToolConfigurationError({ toolName: name, description }))
  }
  const described = { name, description: Tool.getDescription(tool), parameters: Tool.getJsonSchema(tool) }
  const strict = Tool.getStrictMode(tool)
  return Effect.succeed({ type: "function", function: strict === undefined ? described : { ...described, strict } })
}

const toToolChoice = (choice: LanguageModel.ProviderOptions["toolChoice"]): unknown => {
  if (typeof choice === "string") return choice
  return "tool" in choice ? { type: "function", function: { name: choice.tool } } : choice.mode ?? "auto"
}

const responseFormat = (
  format: LanguageModel.ProviderOptions["responseFormat"]
): Effect.Effect<Body, AiError.UnsupportedSchemaError> => {
  if (format.type === "text") return Effect.succeed({})
  const name = format.objectName.replaceAll(/[^\w-]/g, "_").slice(0, 64)
  return Effect.try({
    try: () => {
      const { jsonSchema } = toCodecOpenAI(format.schema)
      return { response_format: { type: "json_schema", json_schema: { name, strict: true, schema: jsonSchema } } }
    },
    catch: (error) =>
      new AiError.UnsupportedSchemaError({ description: Predicate.isError(error) ? error.message : String(error) })
  })
}

/** The output limit, under the field name that the server supports: the newer one is OpenAI's only. */
export const limitOf = (fields: Body, baseUrl: string, limit: number | undefined): Body => {
  if (limit === undefined) return {}
  const name = ["max_completion_tokens", "max_tokens"].find((name) => name in fields) ??
    (new URL(baseUrl).hostname === "api.openai.com" ? "max_completion_tokens" : "max_tokens")
  const own = fields[name]
  return { [name]: typeof own === "number" ? Math.min(own, limit) : limit }
}

/** The body of one chat completions request, without model and stream options. */
export const toBody = Effect.fnUntraced(function*(options: LanguageModel.ProviderOptions) {
  const messages = yield* Effect.forEach(options.prompt.content, toMessages)
  const tools = yield* Effect.forEach(options.tools, toTool)
  const format = yield* responseFormat(options.responseFormat)
  return {
    messages: messages.flat(),
    ...(tools.length === 0 ? {} : { tools, tool_choice: toToolChoice(options.toolChoice) }),
    ...format
  }
})
