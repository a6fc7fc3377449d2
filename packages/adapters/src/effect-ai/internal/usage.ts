// Sums the usage of several model answers.
import type { Event } from "@fastagentic/core"

/** Sums usage; a count that no part reports stays undefined. */
export const totalOf = (parts: ReadonlyArray<Event.Usage>): Event.Usage => {
  const total: Record<string, number> = {}
  for (const part of parts) {
    for (const [key, value] of Object.entries(part)) total[key] = (total[key] ?? 0) + value
  }
  return { inputTokens: 0, outputTokens: 0, ...total }
}
