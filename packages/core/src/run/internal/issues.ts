// Bounds the nesting of inputs; every edge uses it.
import { InvalidPayload } from "../RunError.ts"

/** The deepest nesting of a value from outside: later readers and writers recurse into it. */
const depthLimit = 256

export const tooDeep = (value: unknown, left = depthLimit): boolean => {
  if (left < 0) return true
  if (typeof value !== "object" || value === null) return false
  for (const part of Object.values(value)) if (tooDeep(part, left - 1)) return true
  return false
}

export const nestedTooDeeply = (target: string) =>
  new InvalidPayload({ target, issues: [{ path: [], message: `nested deeper than ${depthLimit} levels` }] })
