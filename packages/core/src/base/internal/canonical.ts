// JSON text with sorted keys, for hashes and comparisons.
import type { Schema } from "effect"

/** JSON with its keys in order. */
export const canonical = (value: Schema.Json): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => a < b ? -1 : 1))
      : part)
