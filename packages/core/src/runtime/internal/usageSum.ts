// Sums the tokens and costs of the model calls of one run, for the run's record.
import * as Event from "../../run/Event.ts"

/** Sums tokens and costs; what neither side reports stays unknown. */
export const addUsage = (total: Event.Usage | undefined, more: Event.Usage): Event.Usage => {
  if (total === undefined) return countedUsage(more)
  const sum: Record<string, number> = { ...total }
  for (const [key, value] of Object.entries(countedUsage(more))) sum[key] = (sum[key] ?? 0) + value
  return { ...total, ...sum }
}

/** A number that cannot be true counts as none: a handler, a hook or an adapter may report anything. */
export const countedUsage = (usage: Event.Usage): Event.Usage =>
  Event.checkUsage(usage) ?? { inputTokens: 0, outputTokens: 0 }
