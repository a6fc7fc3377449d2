// Decides how much of a streamed text has to wait because it may become a match; Redaction uses it. It is pure.
import { fold, folded, isAscii } from "./foldedText.ts"
import type { Found } from "./redactions.ts"

/** The length of a word that is held before the part that cannot match any more is released. */
const longest = 8_192
const overlap = 1_024

/** The same for a text with characters outside of ASCII, each of which takes longer to judge. */
const longestFolded = 1_024
const overlapFolded = 256

/** Text that may become a match although it contains white space. */
const openings = [/-----BEGIN[A-Z0-9 ]{0,60}-{0,4}$/, /\bbearer\s{1,4}[!-~]{0,512}$/i]

/** Phones and cards in groups, and IBANs. */
const groups = [/[+(]?\d[\d ()./-]*$/, /[A-Z]{2}\d{2}[A-Z0-9 ]*$/]
const longestGroup = 64

/** Whether all of a text is one unfinished word that is still short: it waits, and need not be searched again. */
export const isOneWord = (text: string): boolean =>
  text.length <= (isAscii(text) ? longest : longestFolded) && wordAt(text) === 0

/** The position from which on a text has to wait for what comes: before it nothing can change any more. */
export const holdFrom = (text: string, found: ReadonlyArray<Found>, grouped: boolean): number => {
  const { at, folded } = fold(text)
  let word = wordAt(folded)
  const plain = isAscii(text)
  if (folded.length - word > (plain ? longest : longestFolded)) word = folded.length - (plain ? overlap : overlapFolded)
  let from = at(Math.min(word, ...openings.map((opening) => indexIn(folded, opening, overlap))))
  if (grouped) from = Math.min(from, ...groups.map((group) => at(indexIn(folded, group, longestGroup))))
  // A match that reaches the end may continue, and one that begins before the cut is not torn.
  for (const { end, start } of found) {
    if (end === text.length || (start < from && end > from)) from = Math.min(from, start)
  }
  return from
}

/** The start of the unfinished word. Only characters that fold to ASCII are in secrets. */
const wordAt = (text: string) => {
  let at = text.length
  while (at > 0) {
    const code = text.charCodeAt(at - 1)
    if (code < 0x21 || code === 0x7F) break
    if (code > 0x7F) {
      const start = at - (code >= 0xDC00 && code < 0xE000 && at > 1 ? 2 : 1)
      if (/[^!-~]/u.test(folded(text.slice(start, at)))) break
      at = start
    } else at--
  }
  return at
}

/** The index of an opening, searched near the end only: it is anchored there. */
const indexIn = (text: string, opening: RegExp, reach: number) => {
  const base = Math.max(0, text.length - reach)
  const at = text.slice(base).search(opening)
  return at === -1 ? text.length : base + at
}
