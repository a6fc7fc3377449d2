// Messages of a thread as messages for a model, and back: ModelLoop begins with the first and ends with the second. Reasoning
// and what a provider has executed itself stay in the run; the rest reads the same to the next model.
import { Content, type Message, Run } from "@fastagentic/core"
import { Effect } from "effect"
import * as Prompt from "effect/ai/Prompt"
import * as Base64 from "effect/encoding/Base64"
import { toJson } from "../../adapter/Json.ts"
import { mark } from "./untrusted.ts"

type TextOrFile = Prompt.TextPart | Prompt.FilePart

/** The history as a model reads it; a file that is gone is named. */
export const toPrompt = Effect.fnUntraced(function*(messages: ReadonlyArray<Message.Message>) {
  const prompt: Array<Prompt.Message> = []
  for (const message of messages) {
    switch (message.role) {
      case "summary":
        prompt.push(
          userMessage([textPart(`Summary of the conversation before this:\n${Content.textOf(message.content)}`)])
        )
        break
      case "user":
        prompt.push(userMessage(yield* partsOf(message.content)))
        break
      case "assistant": {
        const content = [
          ...yield* partsOf(message.content),
          ...(message.toolCalls ?? []).map(({ id, name, params }) =>
            Prompt.toolCallPart({ id, name, params, providerExecuted: false })
          )
        ]
        if (content.length > 0) prompt.push(Prompt.assistantMessage({ content }))
        break
      }
      case "tool": {
        const part = yield* toolPart(message)
        const last = prompt.at(-1)
        if (last?.role === "tool") prompt[prompt.length - 1] = Prompt.toolMessage({ content: [...last.content, part] })
        else prompt.push(Prompt.toolMessage({ content: [part] }))
      }
    }
  }
  return prompt
})

const textPart = (text: string) => Prompt.textPart({ text })

/** A message has one part at least. */
const userMessage = (parts: ReadonlyArray<TextOrFile>) =>
  Prompt.userMessage({ content: parts.length === 0 ? [textPart("")] : parts })

const toolPart = Effect.fnUntraced(function*(
  { content, isError = false, name, toolCallId: id }: Extract<Message.Message, { readonly role: "tool" }>
) {
  const [only, ...others] = content
  const common = { id, name, isFailure: isError, providerExecuted: false, options: mark }
  return only?.type === "data" && others.length === 0
    ? Prompt.toolResultPart({ ...common, result: only.data })
    : Prompt.toolResultPart({ ...common, result: Content.textOf(content), modelOutput: yield* partsOf(content) })
})

const partsOf = (contents: Content.List) => Effect.forEach(contents, partOf)

const partOf = Effect.fnUntraced(
  function*(content: Content.Content): Effect.fn.Return<TextOrFile, never, Run.CurrentRun> {
    switch (content.type) {
      case "text":
        return textPart(content.text)
      case "data":
        return textPart(JSON.stringify(content.data))
      case "link":
        return textPart(content.title === undefined ? content.uri : `${content.title}: ${content.uri}`)
      default: {
        const { fileId = "", mediaType, name = "file" } = content
        const { files } = yield* Run.CurrentRun
        const data = Content.bytesOf(content) ?? (yield* Effect.orElseSucceed(files.read(fileId), () => undefined))
        return data === undefined
          ? textPart(`[${name} (${mediaType}) is not available any more]`)
          : Prompt.filePart({ mediaType, data, fileName: name })
      }
    }
  }
)

/** The messages of a loop as a thread keeps them. */
export const toMessages = (prompt: ReadonlyArray<Prompt.Message>): ReadonlyArray<Message.Message> =>
  prompt.flatMap((message): ReadonlyArray<Message.Message> => {
    switch (message.role) {
      case "system":
        return []
      case "user":
        return [{ role: "user", content: message.content.map(contentOf) }]
      case "assistant":
        return assistantOf(message)
      case "tool":
        return message.content.flatMap((part) => part.type === "tool-result" ? [resultOf(part)] : [])
    }
  })

const assistantOf = ({ content }: Prompt.AssistantMessage): ReadonlyArray<Message.Message> => {
  const said = content.flatMap((part) => part.type === "text" || part.type === "file" ? [contentOf(part)] : [])
  const toolCalls = content.flatMap((part) =>
    part.type === "tool-call" && !part.providerExecuted
      ? [{ id: part.id, name: part.name, params: toJson(part.params) }]
      : []
  )
  if (said.length === 0 && toolCalls.length === 0) return []
  return [{ role: "assistant", content: said, ...(toolCalls.length === 0 ? {} : { toolCalls }) }]
}

const resultOf = ({ id, isFailure, modelOutput, name, result }: Prompt.ToolResultPart): Message.Message => ({
  role: "tool",
  toolCallId: id,
  name,
  content: modelOutput === undefined ? [Content.data(toJson(result))] : modelOutput.map(contentOf),
  ...(isFailure ? { isError: true } : {})
})

const contentOf = (part: TextOrFile): Content.Content => {
  if (part.type === "text") return Content.text(part.text)
  const { data, fileName, mediaType } = part
  const named = fileName === undefined ? {} : { name: fileName }
  if (data instanceof URL) return linkOf(data.href, mediaType)
  if (typeof data !== "string") return Content.binary({ bytes: data }, mediaType, named)
  const bytes = Base64.decode(data)
  return bytes._tag === "Success" ? Content.binary({ bytes: bytes.success }, mediaType, named) : linkOf(data, mediaType)
}

/** An address that content may name; any other is kept as the text that it is. */
const linkOf = (uri: string, mediaType: string): Content.Content => {
  const link = Content.link(uri, { mediaType })
  return Content.isContent(link) ? link : Content.text(uri)
}
