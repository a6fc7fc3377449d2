// Gives each tool call of a run an id of its own, since providers use one again; RuntimeModel.ts reads each answer through it.
import type * as Response from "effect/ai/Response"

/** The ids of the calls of a run so far. */
export interface Used {
  readonly has: (id: string) => boolean
  readonly add: (id: string) => unknown
}

/** Reads the parts of one answer; `used` has the ids of the answers before, and gets those of this one. */
export const uniqueCalls = (used: Used) => {
  const ids = new Map<string, string>()
  const idOf = (id: string) => {
    const known = ids.get(id)
    if (known !== undefined) return known
    const own = id === "" || used.has(id) ? globalThis.crypto.randomUUID() : id
    used.add(own)
    ids.set(id, own)
    return own
  }
  return (part: Response.AnyPart): Response.AnyPart => {
    switch (part.type) {
      case "tool-params-start":
      case "tool-params-delta":
        return withId(part, idOf(part.id))
      case "tool-call": {
        const named = withId(part, idOf(part.id))
        ids.delete(part.id)
        return named
      }
      default:
        return part
    }
  }
}

const withId = <Part extends { readonly id: string }>(part: Part, id: string): Part =>
  part.id === id ? part : { ...part, id }
