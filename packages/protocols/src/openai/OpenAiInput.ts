// Messages and input items of OpenAI's APIs as content for an agent, and the decisions that they carry.
import * as Content from "@fastagentic/core/run/Content"
import { Option, Schema } from "effect"
import { dataOf } from "../ai-sdk/UiContent.ts"
import { type Named, named, type Result } from "../chat/ClientCalls.ts"
import type { Links } from "../internal/fileLinks.ts"

const optional = Schema.optionalKey

const Text = Schema.Struct({
  type: Schema.Literals(["text", "input_text", "output_text", "refusal"]),
  text: optional(Schema.String),
  refusal: optional(Schema.String)
})
const ChatImage = Schema.Struct({
  type: Schema.Literal("image_url"),
  image_url: Schema.Union([Schema.String, Schema.Struct({ url: Schema.String })])
})
const InputImage = Schema.Struct({
  type: Schema.Literal("input_image"),
  image_url: optional(Schema.NullOr(Schema.String)),
  file_id: optional(Schema.NullOr(Schema.String))
})
const Audio = Schema.Struct({
  type: Schema.Literal("input_audio"),
  input_audio: Schema.Struct({ data: Schema.String, format: Schema.String })
})
const file = {
  filename: optional(Schema.NullOr(Schema.String)),
  file_data: optional(Schema.NullOr(Schema.String)),
  file_id: optional(Schema.NullOr(Schema.String)),
  file_url: optional(Schema.NullOr(Schema.String))
}
const ChatFile = Schema.Struct({ type: Schema.Literal("file"), file: Schema.Struct(file) })
const InputFile = Schema.Struct({ type: Schema.Literal("input_file"), ...file })

const Part = Schema.Union([Text, ChatImage, InputImage, Audio, ChatFile, InputFile])

/** A message of either API. */
export const Message = Schema.Struct({
  type: optional(Schema.Literal("message")),
  role: Schema.Literals(["system", "developer", "user", "assistant", "tool", "function"]),
  content: optional(Schema.NullOr(Schema.Union([Schema.String, Schema.Array(Part)]))),
  /** The call of a tool whose result this is. */
  tool_call_id: optional(Schema.NullOr(Schema.String))
})

export type Message = typeof Message.Type

/** The content of the newest message of the user, after what was said before unless a thread has it. */
export const contentOf = (
  messages: ReadonlyArray<Message>,
  { hasThread, links }: { readonly hasThread: boolean; readonly links: Links }
): Content.List | undefined => {
  const answered = messages.findLastIndex(({ role }) => role !== "user")
  const newest = messages.slice(answered + 1)
  if (newest.length === 0) return undefined
  const contents = newest.flatMap((message) => partsOf(message, links))
  const before = hasThread ? [] : messages.slice(0, answered + 1)
  const said = before.map(({ content, role }) => `${role}: ${textOf(content)}`).join("\n")
  return said === "" ? contents : withText(contents, `<conversation>\n${said}\n</conversation>\n\n`)
}

/** The results of calls with which a conversation ends. */
export const resultsOf = (messages: ReadonlyArray<Message>): ReadonlyArray<Result> =>
  messages.slice(messages.findLastIndex(({ role }) => role !== "tool") + 1).map(({ content, tool_call_id: id }) => ({
    toolCallId: id ?? "",
    value: textOf(content)
  }))

/** The functions among the tools of a request, whose fields are in `function` or beside the type. */
export const functionsOf = (tools: ReadonlyArray<Schema.Json>): ReadonlyArray<Named> =>
  tools.flatMap((tool) => Object(tool).type === "function" ? [named(Object(tool).function ?? tool)] : [])

/** Puts a text before the first text of content, so that an agent which takes one text gets one. */
const withText = (contents: Content.List, text: string): Content.List => {
  const at = contents.findIndex(({ type }) => type === "text")
  const first = contents[at]
  return first?.type === "text"
    ? contents.with(at, { ...first, text: text + first.text })
    : [Content.text(text), ...contents]
}

const textOf = (content: Message["content"]): string =>
  typeof content === "string"
    ? content
    : (content ?? []).map((part) => "text" in part ? part.text ?? "" : "").filter((text) => text !== "").join("\n")

const partsOf = ({ content }: Message, links: Links): Content.List =>
  typeof content === "string"
    ? [Content.text(content)]
    : (content ?? []).flatMap((part) => fromPart(part, links))

const fromPart = (part: typeof Part.Type, links: Links): Content.List => {
  switch (part.type) {
    case "image_url":
      return [atAddress(typeof part.image_url === "string" ? part.image_url : part.image_url.url, "image/*", links)]
    case "input_image":
      return fileOf({ file_id: part.file_id, file_url: part.image_url }, "image/*", links)
    case "input_audio": {
      const mediaType = `audio/${part.input_audio.format === "mp3" ? "mpeg" : part.input_audio.format}`
      return [{ type: "audio", mediaType: Content.mediaTypeOf(mediaType), bytes: part.input_audio.data }]
    }
    case "file":
      return fileOf(part.file, undefined, links)
    case "input_file":
      return fileOf(part, undefined, links)
    default:
      return [Content.text(part.text ?? part.refusal ?? "")]
  }
}

interface File {
  readonly filename?: string | null | undefined
  readonly file_data?: string | null | undefined
  readonly file_id?: string | null | undefined
  readonly file_url?: string | null | undefined
}

const isFileId = Schema.is(Content.FileId)

const fileOf = (
  { file_data, file_id, file_url, filename }: File,
  mediaType: string | undefined,
  links: Links
): Content.List => {
  const name = Content.nameOf(filename ?? undefined)
  const address = file_data ?? file_url ?? file_id ?? ""
  return address === ""
    ? []
    : [atAddress(address, mediaType, links, name, file_data !== undefined && file_data !== null)]
}

const atAddress = (
  address: string,
  mediaType: string | undefined,
  { fileIdOf }: Links,
  name?: string,
  isData = false
): Content.Content => {
  const named = name === undefined ? {} : { name }
  const data = dataOf(address) ?? (isData ? { mediaType: "application/octet-stream", bytes: address } : undefined)
  if (data !== undefined) {
    const kind = Content.mediaTypeOf(data.mediaType)
    return { type: Content.kindOf(kind), mediaType: kind, bytes: data.bytes, ...named }
  }
  const fileId = isFileId(address) ? address : fileIdOf(address)
  if (fileId === undefined) return Content.linkOrText(address, named)
  const kind = mediaType === "image/*" ? "image/png" : Content.mediaTypeOf(mediaType)
  return { type: Content.kindOf(kind), mediaType: kind, fileId, ...named }
}

const ApprovalItem = Schema.Struct({
  type: Schema.Literal("mcp_approval_response"),
  approval_request_id: Schema.String,
  approve: Schema.Boolean,
  reason: optional(Schema.NullOr(Schema.String))
})
const OutputItem = Schema.Struct({
  type: Schema.Literal("function_call_output"),
  call_id: Schema.String,
  output: Schema.Json
})

/** A decision among the input items of a response. */
export type Decision = typeof ApprovalItem.Type | typeof OutputItem.Type

const decodeMessage = Schema.decodeUnknownOption(Message)
const decodeDecision = Schema.decodeUnknownOption(Schema.Union([ApprovalItem, OutputItem]))

/** The messages and the decisions of an input; items of other kinds are what the server itself has said. */
export const fromItems = (items: ReadonlyArray<unknown>) => {
  const messages: Array<Message> = []
  const decisions: Array<Decision> = []
  for (const item of items) {
    const decision = Option.getOrUndefined(decodeDecision(item))
    const message = decision === undefined ? Option.getOrUndefined(decodeMessage(item)) : undefined
    if (decision !== undefined) decisions.push(decision)
    if (message !== undefined) messages.push(message)
  }
  return { messages, decisions }
}
