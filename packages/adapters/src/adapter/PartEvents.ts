/**
 * Converts the parts of a model's answer to the events of a run.
 *
 * @since 0.1.0
 */
import { Event } from "@fastagentic/core"
import { Predicate } from "effect"
import type * as Response from "effect/ai/Response"
import { toJson } from "./Json.ts"

/**
 * The totals of one answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer {
  readonly events: (part: Response.AnyPart) => ReadonlyArray<Event.Event>
  /** Events that close an answer which stopped before its `finish` part. */
  readonly cut: (reason: string) => ReadonlyArray<Event.Event>
  /** The finish reason; known after the `finish` part. */
  readonly reason: () => string
}

/** The metadata key of a `finish` part that holds the cost reported by a provider or a gateway. @category constants @since 0.1.0 */
export const costKey = "fastagentic"

/** Accepts a cost that is a finite number and not negative. @category guards @since 0.1.0 */
export const knownCost = (costUsd: unknown): number | undefined =>
  typeof costUsd === "number" && Number.isFinite(costUsd) && costUsd >= 0 ? costUsd : undefined

/** A cost for the metadata of a `finish` part. @category constructors @since 0.1.0 */
export const costMetadata = (costUsd: number | undefined): Response.ProviderMetadata =>
  costUsd === undefined ? {} : { [costKey]: { costUsd } }

const costOf = (metadata: Response.ProviderMetadata) => {
  const reported = metadata[costKey]
  const costUsd = Predicate.hasProperty(reported, "costUsd") ? knownCost(reported.costUsd) : undefined
  return costUsd === undefined ? {} : { costUsd }
}

/**
 * Converts token counts to those of events; undefined when the provider reported none or impossible ones. No prompt has no
 * tokens: a provider that says so did not count.
 *
 * @category conversions
 * @since 0.1.0
 */
export const usageOf = (
  { metadata, usage: { inputTokens, outputTokens } }: Pick<Response.FinishPart, "metadata" | "usage">
): Event.Usage | undefined =>
  Event.checkUsage({
    ...costOf(metadata),
    inputTokens: inputTokens.total || undefined,
    outputTokens: outputTokens.total,
    cacheReadTokens: inputTokens.cacheRead,
    cacheWriteTokens: inputTokens.cacheWrite,
    reasoningTokens: outputTokens.reasoning
  })

/**
 * Translates one answer. The message has the id of the `response-metadata` part, or else that of the call.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (callId: string): Answer => {
  let messageId = callId
  let state: "silent" | "speaking" | "finished" = "silent"
  let reason = "unknown"

  const inMessage = (event: Event.Event): ReadonlyArray<Event.Event> => {
    if (state !== "silent") return [event]
    state = "speaking"
    return [{ type: "message_start", data: { messageId, role: "assistant" } }, event]
  }

  const cut = (finishReason: string): ReadonlyArray<Event.Event> => {
    const open = state === "speaking"
    state = "finished"
    reason = finishReason
    return open ? [{ type: "message_end", data: { messageId, finishReason } }] : []
  }

  const events = (part: Response.AnyPart): ReadonlyArray<Event.Event> => {
    switch (part.type) {
      case "response-metadata":
        messageId = part.id ?? messageId
        return []
      case "text-delta":
        return inMessage({ type: "token", data: { delta: part.delta, messageId, blockId: part.id } })
      case "reasoning-delta":
        return inMessage({ type: "reasoning_delta", data: { delta: part.delta, messageId, blockId: part.id } })
      case "tool-params-start":
        return inMessage({ type: "tool_call_start", data: { toolCallId: part.id, name: part.name, messageId } })
      case "tool-params-delta":
        return [{ type: "tool_call_delta", data: { toolCallId: part.id, delta: part.delta } }]
      case "tool-call":
        return inMessage({
          type: "tool_call",
          data: { toolCallId: part.id, name: String(part.name), arguments: toJson(part.params) }
        })
      case "finish":
        return cut(part.reason)
      default:
        return []
    }
  }

  return { events, cut, reason: () => reason }
}
