// The bound of a page in bytes: a list of large values must not fill the memory of the process.
import type { Schema } from "effect"
import { isLarger } from "../../store/internal/blobValues.ts"

/** About how many characters of JSON one page has; a page has at least one item. */
const pageLimit = 4 * 1_048_576

/** About how many characters of JSON a value has, up to a limit. */
const sizeOf = (value: Schema.Json): number => {
  if (!isLarger(value, 1_024)) return 1_024
  let size = 1_024
  while (size < pageLimit && isLarger(value, size)) size *= 2
  return size
}

/** Counts the values of a page; `isFull` once they are together larger than a page may be. */
export const makePageSize = () => {
  let size = 0
  return {
    add: (values: ReadonlyArray<Schema.Json | undefined>) => {
      for (const value of values) if (value !== undefined) size += sizeOf(value)
    },
    isFull: () => size >= pageLimit
  }
}
