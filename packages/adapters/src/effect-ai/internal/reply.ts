// Converts a finished answer to the parts of `generateText` and `streamText`; the offline and the scripted model use it.
import type * as Response from "effect/ai/Response"
import * as Arr from "effect/Array"

export interface ReplyCall {
  readonly id: string
  readonly name: string
  readonly params: unknown
}

/** One finished answer of a model without a wire format of its own. */
export interface Reply {
  readonly id: string
  readonly modelId: string
  readonly texts: ReadonlyArray<string>
  readonly calls: ReadonlyArray<ReplyCall>
  readonly reason: Response.FinishReason
  readonly inputTokens: number
  readonly outputTokens: number
}

/** A rough count of tokens: one per four characters. */
export const countTokens = (characters: number): number => Math.ceil(characters / 4)

const usage = ({ inputTokens, outputTokens }: Reply): Response.FinishPartEncoded["usage"] => ({
  inputTokens: { uncached: inputTokens, total: inputTokens, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: outputTokens, text: outputTokens, reasoning: 0 }
})

const opening = ({ id, modelId }: Reply): Response.ResponseMetadataPartEncoded => ({
  type: "response-metadata",
  id,
  modelId
})

const closing = (reply: Reply): Response.FinishPartEncoded => ({
  type: "finish",
  reason: reply.reason,
  usage: usage(reply)
})

const toCall = ({ id, name, params }: ReplyCall): Response.ToolCallPartEncoded => ({
  type: "tool-call",
  id,
  name,
  params
})

export const toParts = (reply: Reply): Array<Response.PartEncoded> => [
  opening(reply),
  ...(reply.texts.length === 0 ? [] : [{ type: "text", text: reply.texts.join("") } as const]),
  ...reply.calls.map(toCall),
  closing(reply)
]

const streamCall = (call: ReplyCall): ReadonlyArray<Response.StreamPartEncoded> => [
  { type: "tool-params-start", id: call.id, name: call.name },
  ...Arr.chunksOf(Array.from(JSON.stringify(call.params) ?? "null"), 12).map((letters) =>
    ({ type: "tool-params-delta", id: call.id, delta: letters.join("") }) as const
  ),
  { type: "tool-params-end", id: call.id },
  toCall(call)
]

export const toStreamParts = (reply: Reply): ReadonlyArray<Response.StreamPartEncoded> => [
  opening(reply),
  ...(reply.texts.length === 0 ? [] : [
    { type: "text-start", id: reply.id } as const,
    ...reply.texts.map((delta) => ({ type: "text-delta", id: reply.id, delta }) as const),
    { type: "text-end", id: reply.id } as const
  ]),
  ...reply.calls.flatMap(streamCall),
  closing(reply)
]

/** Splits a text into words that keep the space after them. */
export const wordsOf = (text: string): ReadonlyArray<string> => text.match(/\S+\s*|\s+/g) ?? []
