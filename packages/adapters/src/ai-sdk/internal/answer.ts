// Reads one answer of a provider model: as parts for the run, and as content that the journal stores and the AI SDK gets back.
// models.ts makes one for each request; calls whose id was used before get one of their own.
import type {
  LanguageModelV4Content,
  LanguageModelV4FinishReason,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
  SharedV4ProviderMetadata
} from "@ai-sdk/provider"
import { Schema } from "effect"
import * as Response from "effect/ai/Response"
import { fromText, toJson } from "../../adapter/Json.ts"
import type { Reply } from "../../adapter/ModelStep.ts"
import { reasonOf, toFinish } from "../../models/internal/usage.ts"

/** The answer as it is stored: the fields of a whole answer that are JSON. */
export interface Stored {
  readonly content: Array<LanguageModelV4Content>
  readonly finishReason: LanguageModelV4FinishReason
  readonly usage: LanguageModelV4Usage
  readonly providerMetadata?: SharedV4ProviderMetadata
}

const decodeFinish = Schema.decodeUnknownSync(Response.FinishPart)
const decodeMetadata = Schema.decodeUnknownSync(Response.ProviderMetadata)

const metadataOf = (metadata: SharedV4ProviderMetadata | undefined) =>
  metadata === undefined ? {} : { metadata: decodeMetadata(toJson(metadata)) }

const given = (providerMetadata: SharedV4ProviderMetadata | undefined) =>
  providerMetadata === undefined ? {} : { providerMetadata }

export class Answer {
  private readonly content: Array<LanguageModelV4Content> = []
  private readonly texts = new Map<string, { text: string; providerMetadata?: SharedV4ProviderMetadata }>()
  private readonly ids = new Map<string, string>()
  private readonly used: Set<string>
  private ending: Omit<Stored, "content"> | undefined
  private calls = 0

  constructor(used: Set<string>) {
    this.used = used
  }

  /** The whole answer; undefined when it did not arrive whole. */
  get stored(): Stored | undefined {
    return this.ending === undefined ? undefined : { content: this.content, ...this.ending }
  }

  take(part: LanguageModelV4StreamPart): ReadonlyArray<Response.AnyPart> {
    switch (part.type) {
      case "text-start":
      case "reasoning-start":
        this.text(part.type === "text-start" ? "text" : "reasoning", part.id, "", part.providerMetadata)
        return []
      case "text-delta":
      case "reasoning-delta": {
        const { delta, id, providerMetadata } = part
        this.text(part.type === "text-delta" ? "text" : "reasoning", id, delta, providerMetadata)
        return delta === "" ? [] : [Response.makePart(part.type, { id, delta, ...metadataOf(providerMetadata) })]
      }
      case "text-end":
      case "reasoning-end": {
        const { id, providerMetadata } = part
        this.text(part.type === "text-end" ? "text" : "reasoning", id, "", providerMetadata)
        return [Response.makePart(part.type, { id, ...metadataOf(providerMetadata) })]
      }
      case "tool-input-start":
        return [
          Response.makePart("tool-params-start", {
            id: this.idOf(part.id),
            name: part.toolName,
            providerExecuted: part.providerExecuted === true
          })
        ]
      case "tool-input-delta":
        return part.delta === ""
          ? []
          : [Response.makePart("tool-params-delta", { id: this.idOf(part.id), delta: part.delta })]
      case "finish": {
        const { finishReason, providerMetadata, usage } = part
        this.ending = { finishReason, usage, ...given(providerMetadata) }
        return [decodeFinish(toFinish(reasonOf(finishReason, this.calls), usage, undefined))]
      }
      case "tool-call":
      case "tool-result":
      case "file":
      case "source":
      case "custom":
      case "reasoning-file":
      case "tool-approval-request":
        return this.add(part)
      case "response-metadata":
        return [Response.makePart("response-metadata", { id: part.id, modelId: part.modelId, timestamp: undefined })]
      default:
        return []
    }
  }

  /** A piece of a whole answer. */
  add(part: LanguageModelV4Content): ReadonlyArray<Response.AnyPart> {
    switch (part.type) {
      case "text":
      case "reasoning":
        this.content.push(part)
        return part.text === ""
          ? []
          : [
            Response.makePart(part.type === "text" ? "text-delta" : "reasoning-delta", {
              id: String(this.content.length),
              delta: part.text,
              ...metadataOf(part.providerMetadata)
            })
          ]
      case "tool-call": {
        const toolCallId = this.idOf(part.toolCallId)
        this.ids.delete(part.toolCallId)
        this.content.push({ ...part, toolCallId })
        if (part.providerExecuted !== true) this.calls++
        return [
          Response.makePart("tool-call", {
            id: toolCallId,
            name: part.toolName,
            params: part.input.trim() === "" ? {} : fromText(part.input),
            providerExecuted: part.providerExecuted === true,
            ...metadataOf(part.providerMetadata)
          })
        ]
      }
      default:
        this.content.push(part)
        return []
    }
  }

  private idOf(id: string): string {
    const known = this.ids.get(id)
    if (known !== undefined) return known
    const own = id === "" || this.used.has(id) ? globalThis.crypto.randomUUID() : id
    this.used.add(own)
    this.ids.set(id, own)
    return own
  }

  private text(
    type: "text" | "reasoning",
    id: string,
    delta: string,
    providerMetadata: SharedV4ProviderMetadata | undefined
  ) {
    const key = `${type} ${id}`
    const known = this.texts.get(key)
    if (known !== undefined) {
      known.text += delta
      Object.assign(known, given(providerMetadata))
      return
    }
    const block = { type, text: delta, ...given(providerMetadata) }
    this.texts.set(key, block)
    this.content.push(block)
  }
}

/** An answer that hooks have changed, in the form of the AI SDK. */
export const rebuilt = ({ finishReason, parts, usage }: Reply): Stored => ({
  content: parts.map((part): LanguageModelV4Content => {
    // cast: metadata is stored as JSON of the same shape.
    const metadata = given(part.metadata as SharedV4ProviderMetadata | undefined)
    return part.type === "tool-call"
      ? {
        type: "tool-call",
        toolCallId: part.id,
        toolName: part.name,
        input: JSON.stringify(part.arguments),
        ...metadata
      }
      : { type: part.type, text: part.text, ...metadata }
  }),
  finishReason: {
    unified: finishReason === "unknown" || finishReason === "pause" ? "other" : finishReason,
    raw: undefined
  },
  usage: {
    inputTokens: { total: usage?.inputTokens, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: usage?.outputTokens, text: undefined, reasoning: usage?.reasoningTokens }
  }
})

/** The answer as a stream, for a framework that asked for one: it is stored already, so it arrives at once. */
export const streamOf = ({ content, finishReason, providerMetadata, usage }: Stored) =>
  new ReadableStream<LanguageModelV4StreamPart>({
    start: (controller) => {
      controller.enqueue({ type: "stream-start", warnings: [] })
      content.forEach((part, index) => {
        if (part.type !== "text" && part.type !== "reasoning") return controller.enqueue(part)
        const { providerMetadata, text, type } = part
        const id = String(index)
        controller.enqueue({ type: `${type}-start`, id })
        controller.enqueue({ type: `${type}-delta`, id, delta: text })
        controller.enqueue({ type: `${type}-end`, id, ...given(providerMetadata) })
      })
      controller.enqueue({ type: "finish", finishReason, usage, ...given(providerMetadata) })
      controller.close()
    }
  })
