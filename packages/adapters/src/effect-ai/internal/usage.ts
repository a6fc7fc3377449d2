import type { Event } from "@fastagentic/core"

/** The sum; what no part reports stays unknown. */
export const totalOf = (parts: ReadonlyArray<Event.Usage>): Event.Usage => {
  const total: Record<string, number> = {}
  for (const part of parts) {
    for (const [key, value] of Object.entries(part)) total[key] = (total[key] ?? 0) + value
  }
  return { inputTokens: 0, outputTokens: 0, ...total }
}
