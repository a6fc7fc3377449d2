// Decides how much of a streamed text has to wait because it may become a match; Redaction uses it. It is pure.
import type { Found } from "./redactions.ts"

/** The length of a word that is held before the part that cannot match any more is released. */
const longest = 8_192
const overlap = 1_024

/** Text that may become a match although it contains white space. */
const openings = [/-----BEGIN[A-Z0-9 ]{0,60}-{0,4}$/, /\bbearer\s{1,4}[!-~]{0,512}$/i]

/** Phones and cards in groups, and IBANs. */
const groups = [/[+(]?\d[\d ()./-]*$/, /(?<![A-Za-z0-9])[A-Z]{2}\d{2}[A-Z0-9 ]*$/]
const longestGroup = 64

/** From where on a text has to wait for what comes: before it nothing can change any more. */
export const holdFrom = (text: string, found: ReadonlyArray<Found>, grouped: boolean): number => {
  let from = Math.min(wordAt(text), ...openings.map((opening) => indexIn(text, opening, longest)))
  if (text.length - from > longest) from = text.length - overlap
  if (grouped) from = Math.min(from, ...groups.map((group) => indexIn(text, group, longestGroup)))
  // A match that reaches the end may continue, and one that begins before the cut is not torn.
  for (const { end, start } of found) {
    if (end === text.length || (start < from && end > from)) from = Math.min(from, start)
  }
  return from
}

/** An unfinished key is found by its first line and the earliest position of its end. */
export const shortened = (held: string): string =>
  held.length > 2 * longest && held.startsWith("-----BEGIN ") ? held.slice(0, overlap) + held.slice(-overlap) : held

/** The start of the unfinished word. Letters outside of ASCII are in no secret. */
const wordAt = (text: string) => {
  let at = text.length
  while (at > 0) {
    const code = text.charCodeAt(at - 1)
    if (code < 0x21 || code > 0x7E) break
    at--
  }
  return at
}

/** The index of an opening, searched near the end only: it is anchored there. */
const indexIn = (text: string, opening: RegExp, reach: number) => {
  const base = Math.max(0, text.length - reach)
  const at = text.slice(base).search(opening)
  return at === -1 ? text.length : base + at
}
