// The rest of a long match in a streamed text: it is dropped as it comes, so that none of it is held or searched again.
// Redaction uses it. The state travels in the held text, because a guard has no other.
import type { Found } from "./redactions.ts"

/** A match of this length that has not ended is not held any longer. */
const longest = 512
const mark = "\0"
const keyEnd = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/
const keyTail = 128
const outside = /[^\w.~+/=\p{Default_Ignorable_Code_Point}\p{Cf}-]/u

/** The state in which the rest of a match is dropped. */
export interface Swallowing {
  readonly name: string
  /** The text that has not been looked at, with what may be the beginning of the end. */
  readonly text: string
}

/** The last match, when it reaches the end of the text and is long, or a key that ends with its last line. */
export const openMatch = (text: string, found: ReadonlyArray<Found>): Found | undefined => {
  const last = found.at(-1)
  if (last === undefined || last.end < text.length) return undefined
  if (last.name === "private-key") return keyEnd.test(text.slice(-keyTail)) ? undefined : last
  return last.end - last.start > longest ? last : undefined
}

export const toHeld = ({ name, text }: Swallowing): string =>
  `${mark}${name}${mark}${name === "private-key" ? text.slice(-keyTail) : ""}`

export const fromHeld = (text: string): Swallowing | undefined => {
  if (!text.startsWith(mark)) return undefined
  const end = text.indexOf(mark, 1)
  return end === -1 ? undefined : { name: text.slice(1, end), text: text.slice(end + 1) }
}

/** The text after the match, or nothing when the match continues. */
export const after = ({ name, text }: Swallowing): string | undefined => {
  const match = (name === "private-key" ? keyEnd : outside).exec(text)
  if (match === null) return undefined
  return text.slice(match.index + (name === "private-key" ? match[0].length : 0))
}
