// Bounds the nesting of inputs; every edge uses it.
import { InvalidPayload } from "../RunError.ts"

/** The deepest nesting of a value from outside: later readers and writers recurse into it. */
const depthLimit = 256

export const tooDeep = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return false
  let level: Array<unknown> = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > depthLimit) return true
    level = level.flatMap((part) => typeof part === "object" && part !== null ? Object.values(part) : [])
  }
  return false
}

export const nestedTooDeeply = (target: string) =>
  new InvalidPayload({ target, issues: [{ path: [], message: `nested deeper than ${depthLimit} levels` }] })
