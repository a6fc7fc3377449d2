// A request to a client's model and its answer, between our content and the blocks of MCP. ClientQuestion uses it.
import { Sample, type SampledMessage, type SampleRequest } from "@fastagentic/core/run/ClientRequest"
import type { Content } from "@fastagentic/core/run/Content"
import type { Answer } from "@fastagentic/core/run/Interrupt"
import type * as Sdk from "@modelcontextprotocol/server"
import { Option, Schema } from "effect"
import * as McpContent from "./McpContent.ts"

/** A message has several blocks since this revision. */
const listsSince = "2025-11-25"

/** Nothing when the client's revision cannot carry the messages. */
export const toParams = (
  { messages, modelPreferences, stopSequences, toolChoice, tools, ...request }: SampleRequest,
  revision: string
): Sdk.CreateMessageRequestParams | undefined => {
  const sent: Array<Sdk.SamplingMessage> = []
  for (const { content, role } of messages) {
    const blocks: Array<Sdk.SamplingMessageContentBlock> = []
    for (const part of content) {
      const block = toBlock(part, revision)
      if (block === undefined) return undefined
      blocks.push(block)
    }
    if (revision >= listsSince && blocks.length > 1) sent.push({ role, content: blocks })
    else sent.push(...blocks.map((block) => ({ role, content: block })))
  }
  return {
    ...request,
    messages: sent,
    ...(stopSequences === undefined ? {} : { stopSequences: [...stopSequences] }),
    ...(modelPreferences === undefined ? {} : {
      modelPreferences: {
        ...modelPreferences,
        hints: modelPreferences.hints?.map(({ name }) => ({ name }))
      }
    }),
    ...(tools === undefined ? {} : {
      tools: tools.map((tool) => ({ ...tool, inputSchema: { ...tool.inputSchema, type: "object" as const } }))
    }),
    ...(toolChoice === undefined ? {} : { toolChoice })
  }
}

type Part = SampledMessage["content"][number]

/** Models of clients take text, images and audio; stored files would have to be loaded, so they are not sent. */
const toBlock = (part: Part, revision: string): Sdk.SamplingMessageContentBlock | undefined => {
  switch (part.type) {
    case "tool_use":
      return { ...part, input: { ...part.input } }
    case "tool_result": {
      const content = part.content.map((one) => contentBlock(one, revision))
      const known = content.filter((one) => one !== undefined)
      return known.length < content.length
        ? undefined
        : {
          type: "tool_result",
          toolUseId: part.toolUseId,
          content: known,
          ...(part.isError === undefined ? {} : { isError: part.isError })
        }
    }
    default: {
      const block = contentBlock(part, revision)
      return block?.type === "text" || block?.type === "image" || block?.type === "audio" ? block : undefined
    }
  }
}

const contentBlock = (content: Content, revision: string): Sdk.ContentBlock | undefined => {
  switch (content.type) {
    case "image":
    case "audio":
    case "file":
      return content.bytes === undefined
        ? undefined
        : McpContent.toBlock({ ...content, bytes: content.bytes }, revision)
    default:
      return McpContent.toBlock(content, revision)
  }
}

const Block = Schema.StructWithRest(Schema.Struct({ type: Schema.String }), [Schema.Record(Schema.String, Schema.Json)])
const decodeResult = Schema.decodeUnknownOption(Schema.Struct({
  role: Schema.Literals(["user", "assistant"]),
  content: Schema.Union([Schema.Array(Block), Block]),
  model: Schema.String,
  stopReason: Schema.optionalKey(Schema.String)
}))
const isSample = Schema.is(Schema.toEncoded(Schema.toCodecJson(Sample)))

/** A client's result as an answer; a result that is none does not fit. */
export const read = (result: unknown): Answer | "unclear" => {
  const sampled = Option.getOrUndefined(decodeResult(result))
  if (sampled === undefined) return "unclear"
  const blocks = Array.isArray(sampled.content) ? sampled.content : [sampled.content]
  const value = { ...sampled, content: blocks.map(fromBlock) }
  return isSample(value) ? { decision: "approve", value } : "unclear"
}

const decodeContent = Schema.decodeUnknownOption(Schema.Union([
  Schema.Struct({ type: Schema.Literal("text"), text: Schema.String }),
  Schema.Struct({ type: Schema.Literals(["image", "audio"]), data: Schema.String, mimeType: Schema.String })
]))

/** Blocks of tools are the same on both sides. */
const fromBlock = (block: typeof Block.Type): Schema.Json =>
  Option.match(decodeContent(block), {
    onNone: () => block,
    onSome: (known) => ({ ...McpContent.fromBlock(known) })
  })
