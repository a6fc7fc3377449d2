// Converts a provider's answer to parts of effect/ai, piece by piece: each call and each block gets an id of its own.
import type {
  LanguageModelV4Content,
  LanguageModelV4File,
  LanguageModelV4FinishReason,
  LanguageModelV4Source,
  LanguageModelV4StreamPart,
  LanguageModelV4ToolCall,
  LanguageModelV4ToolResult,
  LanguageModelV4Usage,
  SharedV4ProviderMetadata
} from "@ai-sdk/provider"
import { Option, Schema } from "effect"
import * as Response from "effect/ai/Response"
import type * as Tool from "effect/ai/Tool"
import * as Base64 from "effect/encoding/Base64"
import { parse } from "./fields.ts"
import type { Names } from "./names.ts"
import { schemaOf } from "./toolSchema.ts"

/** The end of an answer as its provider reported it. */
export interface Ending {
  readonly reason: LanguageModelV4FinishReason
  readonly usage: LanguageModelV4Usage
  /** The calls that the app has to make. */
  readonly calls: number
}

/** An error that a provider put into its stream. */
export class StreamedError {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

type Common = Extract<Response.StreamPartEncoded, Response.PartEncoded>
type StreamPart = Response.StreamPartEncoded

const decodeMetadata = Schema.decodeUnknownOption(Schema.fromJsonString(Response.ProviderMetadata))

/** Metadata that can be stored: fields without a value are left out. */
const metadataOf = (
  metadata: SharedV4ProviderMetadata | undefined
): { readonly metadata?: Response.ProviderMetadata } => {
  if (metadata === undefined) return {}
  const stored = Option.getOrUndefined(decodeMetadata(JSON.stringify(metadata)))
  return stored === undefined ? {} : { metadata: stored }
}

/** Arguments that are not JSON stay text: the tool's schema refuses them, and the model is told. */
const paramsOf = (input: string): unknown => {
  if (input.trim() === "") return {}
  const params = parse(input)
  const again = typeof params === "string" ? parse(params) : undefined
  return typeof again === "object" && again !== null ? again : params === undefined ? input : params ?? {}
}

const sourceOf = (source: LanguageModelV4Source): ReadonlyArray<Common> => {
  const { id, providerMetadata, title } = source
  if (source.sourceType === "document") {
    const { filename, mediaType } = source
    const fileName = filename === undefined ? {} : { fileName: filename }
    const document = { sourceType: "document", id, mediaType, title: source.title, ...fileName } as const
    return [{ type: "source", ...document, ...metadataOf(providerMetadata) }]
  }
  if (!URL.canParse(source.url)) return []
  return [{
    type: "source",
    sourceType: "url",
    id,
    url: source.url,
    title: title ?? source.url,
    ...metadataOf(providerMetadata)
  }]
}

const fileOf = ({ data, mediaType, providerMetadata }: LanguageModelV4File): ReadonlyArray<Common> => {
  if (data.type === "url") return sourceOf({ type: "source", sourceType: "url", id: data.url.href, url: data.url.href })
  const base64 = typeof data.data === "string" ? data.data : Base64.encode(data.data)
  return [{ type: "file", mediaType, data: base64, ...metadataOf(providerMetadata) }]
}

/** A new id in the alphabet and length that the strictest provider accepts. */
const freshId = (like: string): string =>
  globalThis.crypto.randomUUID().replaceAll("-", "").slice(0, Math.min(24, Math.max(9, like.length)))

/** One answer. `used` holds the ids of earlier calls. */
export class Answer {
  private readonly names: Names
  private readonly tools: ReadonlyMap<string, Tool.Any>
  private readonly used: Set<string>
  /** The id of an announced call, by the provider's. */
  private readonly announced = new Map<string, string>()
  /** The ids of finished calls, by the provider's: a result of the provider belongs to one. */
  private readonly called = new Map<string, string>()
  private readonly blocks = new Map<string, string>()
  private count = 0
  private calls = 0
  ending: Ending | undefined

  constructor(names: Names, tools: ReadonlyArray<Tool.Any>, used: Set<string>) {
    this.names = names
    this.tools = new Map(tools.map((tool) => [tool.name, tool]))
    this.used = used
  }

  private ownId(id: string): string {
    const own = id === "" || this.used.has(id) ? freshId(id) : id
    this.used.add(own)
    return own
  }

  private announce(id: string): string {
    const own = this.ownId(id)
    this.announced.set(id, own)
    return own
  }

  private open(id: string, kind: string): string {
    const own = String(this.count++)
    this.blocks.set(`${kind} ${id}`, own)
    return own
  }

  private block(id: string, kind: string): string {
    return this.blocks.get(`${kind} ${id}`) ?? this.open(id, kind)
  }

  private readonly call = (part: LanguageModelV4ToolCall): ReadonlyArray<Common> => {
    const name = this.names.fromProvider(part.toolName)
    const tool = this.tools.get(name)
    // A call of a tool that the app has not declared, made by the provider itself, concerns the provider alone.
    if (part.providerExecuted === true && tool === undefined) return []
    const id = this.announced.get(part.toolCallId) ?? this.ownId(part.toolCallId)
    this.announced.delete(part.toolCallId)
    this.called.set(part.toolCallId, id)
    if (part.providerExecuted !== true) this.calls++
    const params = paramsOf(part.input)
    return [{
      type: "tool-call",
      id,
      name,
      params: tool === undefined || part.providerExecuted === true ? params : schemaOf(tool).read(params),
      ...(part.providerExecuted === true ? { providerExecuted: true } : {}),
      ...metadataOf(part.providerMetadata)
    }]
  }

  private readonly result = (part: LanguageModelV4ToolResult): ReadonlyArray<Common> => {
    const name = this.names.fromProvider(part.toolName)
    if (!this.tools.has(name)) return []
    return [{
      type: "tool-result",
      id: this.called.get(part.toolCallId) ?? part.toolCallId,
      name,
      result: part.result,
      isFailure: part.isError === true,
      providerExecuted: true,
      preliminary: part.preliminary === true,
      ...metadataOf(part.providerMetadata)
    }]
  }

  private finish(reason: LanguageModelV4FinishReason, usage: LanguageModelV4Usage): ReadonlyArray<never> {
    this.ending = { reason, usage, calls: this.calls }
    return []
  }

  /** The parts of a piece of a stream; throws `StreamedError`. The finish part is made of `ending`. */
  take(part: LanguageModelV4StreamPart): ReadonlyArray<StreamPart> {
    switch (part.type) {
      case "text-start":
      case "reasoning-start": {
        const kind = part.type === "text-start" ? "text" : "reasoning"
        return [{ type: part.type, id: this.open(part.id, kind), ...metadataOf(part.providerMetadata) }]
      }
      case "text-delta":
      case "reasoning-delta": {
        const kind = part.type === "text-delta" ? "text" : "reasoning"
        const id = this.block(part.id, kind)
        return [{ type: part.type, id, delta: part.delta, ...metadataOf(part.providerMetadata) }]
      }
      case "text-end":
      case "reasoning-end": {
        const kind = part.type === "text-end" ? "text" : "reasoning"
        return [{ type: part.type, id: this.block(part.id, kind), ...metadataOf(part.providerMetadata) }]
      }
      case "tool-input-start": {
        const name = this.names.fromProvider(part.toolName)
        if (part.providerExecuted === true && !this.tools.has(name)) return []
        return [{ type: "tool-params-start", id: this.announce(part.id), name }]
      }
      case "tool-input-delta": {
        const id = this.announced.get(part.id)
        return id === undefined || part.delta === "" ? [] : [{ type: "tool-params-delta", id, delta: part.delta }]
      }
      case "tool-input-end": {
        const id = this.announced.get(part.id)
        return id === undefined ? [] : [{ type: "tool-params-end", id }]
      }
      case "response-metadata":
        return [metadataPart(part)]
      case "finish":
        return this.finish(part.finishReason, part.usage)
      case "error":
        throw new StreamedError(part.error)
      default:
        return this.whole(part)
    }
  }

  /** The parts of one piece of a whole answer. */
  content(part: LanguageModelV4Content): ReadonlyArray<Response.PartEncoded> {
    switch (part.type) {
      case "text":
      case "reasoning":
        return part.text === "" && part.providerMetadata === undefined
          ? []
          : [{ type: part.type, text: part.text, ...metadataOf(part.providerMetadata) }]
      default:
        return this.whole(part)
    }
  }

  /** The pieces that streams and whole answers have alike. */
  private whole(part: LanguageModelV4StreamPart | LanguageModelV4Content): ReadonlyArray<Common> {
    switch (part.type) {
      case "tool-call":
        return this.call(part)
      case "tool-result":
        return this.result(part)
      case "file":
        return fileOf(part)
      case "source":
        return sourceOf(part)
      default:
        return []
    }
  }

  /** Ends a whole answer. */
  end(reason: LanguageModelV4FinishReason, usage: LanguageModelV4Usage): Ending {
    return { reason, usage, calls: this.calls }
  }
}

/** The id, the model and the time of an answer. */
export const metadataPart = (
  { id, modelId, timestamp }: { readonly id?: string; readonly modelId?: string; readonly timestamp?: Date }
): Response.ResponseMetadataPartEncoded => ({
  type: "response-metadata",
  id,
  modelId,
  timestamp: timestamp === undefined || Number.isNaN(timestamp.getTime()) ? undefined : timestamp.toISOString()
})
