// Finds secrets and personal data in a text; Redaction and redactionBuffer use it. It is pure.
import type { Options } from "../Redaction.ts"
import { fold } from "./foldedText.ts"

/** A place in a text that is to be redacted. */
export interface Found {
  readonly start: number
  readonly end: number
  readonly name: string
}

interface Kind {
  readonly name: string
  /** A group `lead` in a lookbehind belongs to the match. */
  readonly pattern: RegExp
  /** A check beyond the shape. */
  readonly check?: (match: string) => boolean
  /** Groups of it may be something else: numbers that happen to stand beside it. */
  readonly grouped?: boolean
}

const word = "[A-Za-z0-9_-]"

/** Keys whose issuers gave them a prefix to be found by. */
const apiKeys = [
  // Stripe
  String.raw`(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}`,
  String.raw`whsec_[A-Za-z0-9+/=]{24,}`,
  // GitHub, GitLab
  String.raw`gh[pousr]_[A-Za-z0-9]{30,}`,
  String.raw`github_pat_[A-Za-z0-9_]{22,}`,
  String.raw`glpat-[A-Za-z0-9_-]{20,}`,
  // Google
  String.raw`AIza[A-Za-z0-9_-]{35,}`,
  String.raw`ya29\.[A-Za-z0-9_-]{20,}`,
  // Slack
  String.raw`xox[abeoprs]-[A-Za-z0-9-]{10,}`,
  String.raw`xapp-[A-Za-z0-9-]{10,}`,
  // npm, PyPI, Hugging Face, Groq, xAI, SendGrid, Twilio, DigitalOcean, Langfuse, LangSmith
  String.raw`npm_[A-Za-z0-9]{30,}`,
  String.raw`pypi-[A-Za-z0-9_-]{30,}`,
  String.raw`hf_[A-Za-z0-9]{30,}`,
  String.raw`gsk_[A-Za-z0-9]{30,}`,
  String.raw`xai-[A-Za-z0-9]{30,}`,
  String.raw`SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}`,
  String.raw`SK[0-9a-f]{32}`,
  String.raw`do[opr]_v1_[0-9a-f]{40,}`,
  String.raw`lsv2_(?:pt|sk)_[A-Za-z0-9_]{20,}`
]

const secrets: ReadonlyArray<Kind> = [
  {
    name: "private-key",
    // One whose end is missing goes on to the end of the text.
    pattern:
      /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)/g
  },
  {
    name: "jwt",
    // The lookahead reads the run once, so that a run of many beginnings without a dot takes no more than one reading.
    pattern: new RegExp(
      `(?<!${word})(?=${word}+\\.${word}{8,}\\.)${word}*?eyJ${word}{8,}\\.${word}{8,}\\.${word}*`,
      "g"
    )
  },
  // The prefixes of issuers are found inside a longer word too.
  { name: "api-key", pattern: new RegExp(`(?:${apiKeys.join("|")})`, "g") },
  // OpenAI, Anthropic, OpenRouter and others that follow them; inside a word it may be the end of "task" or "risk".
  { name: "api-key", pattern: new RegExp(`(?<!${word})sk-${word}{20,}`, "g") },
  { name: "api-key", pattern: new RegExp(`(?<=${word})sk-${word}{20,}`, "g"), check: isRandom },
  { name: "aws-key", pattern: /(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])/g },
  // The password, between the user and the host.
  {
    name: "url-password",
    pattern: /(?<=\b[a-z][a-z0-9+.-]{1,30}:\/\/[^\s/:@"'<>]{0,256}:)[^\s/@"'<>]{1,512}(?=@)/gi
  },
  { name: "bearer", pattern: /(?<=\bbearer\s{1,4})[A-Za-z0-9._~+/-]{20,}=*/gi }
]

const pii: ReadonlyArray<Kind> = [
  // Searched from its @, so that a long word before it is read once.
  {
    name: "email",
    pattern: /(?<=(?<lead>[A-Za-z0-9._%+-]{1,64}))@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}/g
  },
  {
    name: "iban",
    pattern: /[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])/g,
    check: isIban,
    grouped: true
  },
  { name: "card", pattern: /(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)/g, check: isCard, grouped: true },
  {
    name: "ssn",
    pattern: /(?<!\d|\d-)(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?!\d|-\d)/g
  },
  // A "v" before it makes it a version.
  {
    name: "ip",
    pattern: /(?<![0-9.vV])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\d|\.\d)/g
  },
  // A phone number has a country code or groups: digits alone are mostly something else.
  {
    name: "phone",
    pattern:
      /(?:(?<!\d)\+\d(?:[ ./()-]{0,2}\d){6,14}|(?<![A-Za-z0-9])\(\d{2,5}\)(?:[ ./-]?\d){5,10}|(?<![A-Za-z0-9])\d{3}[ .-]\d{3}[ .-]\d{4})(?![A-Za-z0-9])/g,
    check: (match) => within(match.replaceAll(/\D/g, "").length, 7, 15)
  }
]

/** Letters of both cases and digits after the prefix: no words that hyphens join. */
function isRandom(match: string) {
  return /\d/.test(match) && /[A-Z]/.test(match) && /[a-z]/.test(match.slice(3))
}

const within = (n: number, least: number, most: number) => n >= least && n <= most

/** Visa, Mastercard, American Express, Diners, JCB, Discover, Maestro and UnionPay, by their first digits and length. */
const issued =
  /^(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|35\d{14}|6\d{15}(?:\d{3})?)$/

/** Luhn: every second digit from the right counts double. */
function isCard(match: string) {
  const digits = match.replaceAll(/\D/g, "")
  if (!issued.test(digits)) return false
  let sum = 0
  for (let index = 0; index < digits.length; index++) {
    const digit = Number(digits[digits.length - 1 - index])
    const counted = index % 2 === 0 ? digit : digit * 2
    sum += counted > 9 ? counted - 9 : counted
  }
  return sum % 10 === 0
}

/** ISO 13616: the first four characters last, letters as numbers from 10, and the remainder by 97 is 1. */
function isIban(match: string) {
  const plain = match.replaceAll(" ", "")
  if (!within(plain.length, 15, 34)) return false
  let rest = 0
  for (const char of plain.slice(4) + plain.slice(0, 4)) {
    for (const digit of String(Number.parseInt(char, 36))) rest = (rest * 10 + Number(digit)) % 97
  }
  return rest === 1
}

/** The longest run of whole groups that passes the check, or nothing. */
const narrowed = (match: string, check: (part: string) => boolean): string => {
  const starts = [0]
  const ends = [match.length]
  for (const { index } of match.matchAll(/[ -]/g)) {
    starts.push(index + 1)
    ends.unshift(index)
  }
  ends.sort((a, b) => b - a)
  let longest = ""
  for (const start of starts) {
    for (const end of ends) {
      if (end - start <= longest.length) break
      const part = match.slice(start, end)
      if (check(part)) longest = part
    }
  }
  return longest
}

const chosen = (kinds: ReadonlyArray<Kind>, choice: boolean | ReadonlyArray<string>) =>
  typeof choice === "boolean" ? (choice ? kinds : []) : kinds.filter(({ name }) => choice.includes(name))

/** Everything to redact in a text, in order and without overlap; `names` are the kinds that it finds. */
export interface Search {
  (text: string): ReadonlyArray<Found>
  readonly names: ReadonlySet<string>
}

export const find = (options: Options): Search => {
  const own = Object.entries(options.patterns ?? {}).map(([name, { flags, source }]): Kind => ({
    name,
    pattern: new RegExp(source, flags.includes("g") ? flags : `${flags}g`)
  }))
  const kinds = [...own, ...chosen(secrets, options.secrets ?? true), ...chosen(pii, options.pii ?? false)]
  const search = (text: string) => {
    const { at, folded } = fold(text)
    const found: Array<Found> = []
    for (const { check, grouped = false, name, pattern } of kinds) {
      for (const match of folded.matchAll(pattern)) {
        const lead = match.groups?.["lead"]?.length ?? 0
        const matched = lead === 0 ? match[0] : folded.slice(match.index - lead, match.index) + match[0]
        if (matched === "") continue
        const part = check === undefined ? matched : grouped ? narrowed(matched, check) : check(matched) ? matched : ""
        if (part === "") continue
        const start = match.index - lead + matched.indexOf(part)
        found.push({ start: at(start), end: at(start + part.length), name })
      }
    }
    return found.length < 2 ? found : apart(found)
  }
  return Object.assign(search, { names: new Set(kinds.map(({ name }) => name)) })
}

const apart = (found: Array<Found>) => {
  found.sort((a, b) => a.start - b.start || b.end - a.end)
  const kept: Array<Found> = []
  for (const one of found) {
    const last = kept.at(-1)
    if (last === undefined || one.start >= last.end) kept.push(one)
    else if (one.end > last.end) kept[kept.length - 1] = { ...last, end: one.end }
  }
  return kept
}
