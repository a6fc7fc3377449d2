// Splits text into words and folds them, for the offline model's planner.
export interface Token {
  /** As written, without quotes and trailing punctuation. */
  readonly text: string
  /** Lower case and singular. */
  readonly word: string
  readonly number: number | undefined
  readonly symbol: "#" | "money" | undefined
  readonly quoted: boolean
  readonly startsSentence: boolean
}

const conceptWords: Record<string, ReadonlyArray<string>> = {
  find: [
    "find",
    "where",
    "status",
    "track",
    "look",
    "lookup",
    "get",
    "fetch",
    "read",
    "check",
    "locate",
    "retrieve",
    "view"
  ],
  search: ["search", "list", "browse", "query", "filter", "all", "which", "every"],
  create: ["create", "add", "make", "register"],
  update: ["update", "change", "edit", "modify", "rename"],
  delete: ["delete", "remove", "erase", "drop", "purge"],
  cancel: ["cancel", "abort", "revoke"],
  refund: ["refund", "reimburse"],
  send: ["send", "notify"]
}

const concepts = new Map(
  Object.entries(conceptWords).flatMap(([concept, words]) => words.map((word) => [word, concept] as const))
)

/** The verb a word stands for, or the word itself. */
export const conceptOf = (word: string): string => concepts.get(word) ?? word

export const isVerb = (word: string): boolean => concepts.has(word) || displayWords.has(word)

/** The verbs that change something, whether or not there is a tool for them. */
export const changingConcepts: ReadonlyArray<string> = ["create", "update", "delete", "cancel", "refund", "send"]

/** Words that ask to see something; they fit finding as well as searching. */
export const displayWords: ReadonlySet<string> = new Set(["show", "display", "give", "tell", "see", "print"])

export const stopWords: ReadonlySet<string> = new Set(
  ("a an and are as at be by can could do does for from had has have how i in is it its me my of on or our please should " +
    "that the their them this to us want was we were what when who why will with would you your").split(" ")
)

export const currencies: ReadonlySet<string> = new Set(
  "eur usd gbp chf jpy euro dollar pound".split(" ")
)

export const fold = (word: string): string => {
  const lower = word.toLowerCase().replace(/['’]s$/, "")
  if (lower.length < 4) return lower
  if (lower.endsWith("ies")) return lower.slice(0, -3) + "y"
  if (/(?:ss|x|ch|sh)es$/.test(lower)) return lower.slice(0, -2)
  return /[^sui]s$/.test(lower) ? lower.slice(0, -1) : lower
}

export const isPlural = (token: Token): boolean =>
  /^\p{L}+$/u.test(token.text) && fold(token.text) !== token.text.toLowerCase()

/** The folded words of `find_order`, `orderId` or `Order-Id`. */
export const wordsOfName = (name: string): ReadonlyArray<string> =>
  name.replace(/(\p{Ll}|\d)(\p{Lu})/gu, "$1 $2").split(/[^\p{L}\d]+/u).filter((word) => word !== "").map(fold)

export const wordsOfText = (text: string): ReadonlyArray<string> =>
  tokenize(text).filter((token) => token.number === undefined && !stopWords.has(token.word)).map((token) => token.word)

const pattern = /"([^"]+)"|“([^”]+)”|(?<=^|\s)'([^']+)'(?=$|[\s.,!?])|[#$€£]?[\p{L}\d][\p{L}\d_@.,'’-]*[€£%]?|[.!?]/gu
const numberPattern = /^[#$€£]?(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)[€£]?$/

export const tokenize = (text: string): ReadonlyArray<Token> => {
  const tokens: Array<Token> = []
  let startsSentence = true
  for (const match of text.matchAll(pattern)) {
    if (/^[.!?]$/.test(match[0])) {
      startsSentence = true
      continue
    }
    const quoted = match[1] ?? match[2] ?? match[3]
    const plain = quoted ?? match[0].replace(/[.,'’-]+$/, "")
    const digits = quoted === undefined ? numberPattern.exec(plain)?.[1] : undefined
    tokens.push({
      text: plain,
      word: fold(plain),
      number: digits === undefined ? undefined : Number(digits.replaceAll(",", "")),
      symbol: plain.startsWith("#") ? "#" : digits !== undefined && /[$€£]/.test(plain) ? "money" : undefined,
      quoted: quoted !== undefined,
      startsSentence
    })
    startsSentence = quoted === undefined && match[0].endsWith(".")
  }
  return tokens
}
