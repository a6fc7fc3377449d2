// Folds a text before it is searched: invisible characters are left out, compatible forms become ASCII. Redactions and
// redactionBuffer use it. Every place of the folded text has its place in the original.

/** Characters that no reader sees: zero-width ones, soft hyphens, marks of direction, variation selectors and tags. */
const invisible = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/u

const dashes = /[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]/u

const ascii = /^[\0-\x7f]*$/u

export const isAscii = (text: string): boolean => ascii.test(text)

/** A character as it is searched: nothing when it is invisible, its ASCII form when it has one. */
export const folded = (char: string): string => {
  if (char.charCodeAt(0) < 0x80) return char
  if (invisible.test(char)) return ""
  if (dashes.test(char)) return "-"
  const plain = char.normalize("NFKC")
  return ascii.test(plain) ? plain : char
}

/** The folded text, and the place in the original of each of its places. */
export const fold = (text: string): { readonly folded: string; readonly at: (index: number) => number } => {
  if (ascii.test(text)) return { folded: text, at: (index) => index }
  const places: Array<number> = []
  let out = ""
  let index = 0
  for (const char of text) {
    const plain = folded(char)
    out += plain
    for (let i = 0; i < plain.length; i++) places.push(index + (plain === char ? i : 0))
    index += char.length
  }
  places.push(text.length)
  return { folded: out, at: (place) => places[place] ?? text.length }
}
