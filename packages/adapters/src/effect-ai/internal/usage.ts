import type { Event } from "@fastagentic/core"
import type * as Response from "effect/ai/Response"

/** Tokens as the provider reported them; nothing when it reported nothing. */
export const usageOf = ({ inputTokens, outputTokens }: Response.Usage): Event.Usage | undefined =>
  inputTokens.total === undefined && outputTokens.total === undefined ? undefined : {
    inputTokens: inputTokens.total ?? 0,
    outputTokens: outputTokens.total ?? 0,
    ...(inputTokens.cacheRead === undefined ? {} : { cacheReadTokens: inputTokens.cacheRead }),
    ...(inputTokens.cacheWrite === undefined ? {} : { cacheWriteTokens: inputTokens.cacheWrite }),
    ...(outputTokens.reasoning === undefined ? {} : { reasoningTokens: outputTokens.reasoning })
  }

/** The sum; what no part reports stays unknown. */
export const totalOf = (parts: ReadonlyArray<Event.Usage>): Event.Usage => {
  const total: Record<string, number> = {}
  for (const part of parts) {
    for (const [key, value] of Object.entries(part)) total[key] = (total[key] ?? 0) + value
  }
  return { inputTokens: 0, outputTokens: 0, ...total }
}
