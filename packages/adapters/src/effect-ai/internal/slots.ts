// Fills a tool's parameters from the words of a question; the planner calls it for each candidate tool.
import type { Parameter, ToolShape } from "./toolShape.ts"
import { conceptOf, currencies, isPlural, isVerb, stopWords, type Token } from "./words.ts"

export interface Filled {
  readonly params: Readonly<Record<string, unknown>>
  readonly missing: ReadonlyArray<Parameter>
  /** The number of parameters that the question itself named. */
  readonly named: number
}

const connectors = new Set(["id", "number", "no", "nr", "the", "is", "code", "ref", "of", "to", "with"])

const before = (tokens: ReadonlyArray<Token>, index: number): string | undefined => {
  let position = index - 1
  while (position > index - 4 && connectors.has(tokens[position]?.word ?? "")) position--
  return tokens[position]?.word
}

/** Whether a number counts things, as in "3 delivered orders". */
const isCount = (tokens: ReadonlyArray<Token>, index: number): boolean => {
  for (const token of tokens.slice(index + 1, index + 4)) {
    if (token.number !== undefined || stopWords.has(token.word)) return false
    if (isPlural(token) && !currencies.has(token.word)) return true
  }
  return false
}

const isMoney = (tokens: ReadonlyArray<Token>, index: number): boolean =>
  tokens[index]?.symbol === "money" || currencies.has(tokens[index + 1]?.word ?? "")

/** Whether the word before a number says that it belongs to something else: "ticket 12". */
const namesOther = (lead: string | undefined): boolean =>
  lead !== undefined && lead !== "" && !stopWords.has(lead) && !isVerb(lead)

const limitLeads = new Set(["top", "first", "last", "limit", "max", "maximum", "most"])

const affinity = (tokens: ReadonlyArray<Token>, index: number, parameter: Parameter, shape: ToolShape): number => {
  const token = tokens[index]
  if (token?.number === undefined) return 0
  if (parameter.kind === "integer" && !Number.isInteger(token.number)) return 0
  if (token.number < parameter.minimum) return 0
  if (token.number > parameter.maximum && parameter.role !== "limit") return 0
  const lead = before(tokens, index)
  const next = tokens[index + 1]?.word
  if (lead !== undefined && parameter.words.includes(lead) && !connectors.has(lead)) return 5
  const ofNoun = lead !== undefined && shape.nouns.includes(lead)
  switch (parameter.role) {
    case "identifier": {
      if (isMoney(tokens, index) || (isCount(tokens, index) && !ofNoun)) return 0
      if (ofNoun || token.symbol === "#") return 5
      if (lead !== undefined && parameter.hints.includes(lead)) return 4
      return parameter.required && !namesOther(lead) ? 2 : 0
    }
    case "limit":
      return lead !== undefined && limitLeads.has(lead) || (isCount(tokens, index) && !ofNoun) ? 4 : 0
    case "amount": {
      if (isMoney(tokens, index)) return 5
      return !parameter.required || ofNoun || token.symbol === "#" || isCount(tokens, index) ? 0 : 1
    }
    default: {
      if (next !== undefined && parameter.words.includes(next)) return 3
      return parameter.required && !isMoney(tokens, index) ? 1 : 0
    }
  }
}

const claimNumbers = (
  tokens: ReadonlyArray<Token>,
  shape: ToolShape,
  params: Map<string, unknown>,
  taken: Set<number>
): void => {
  const pairs = shape.parameters.flatMap((parameter) =>
    parameter.values.length > 0 || (parameter.kind !== "integer" && parameter.kind !== "number") ? [] : (
      tokens.map((_, index) => ({ parameter, index, score: affinity(tokens, index, parameter, shape) }))
    )
  )
  for (const { index, parameter, score } of pairs.toSorted((left, right) => right.score - left.score)) {
    const number = tokens[index]?.number
    if (score === 0 || number === undefined || taken.has(index) || params.has(parameter.name)) continue
    params.set(parameter.name, parameter.role === "limit" ? Math.min(number, parameter.maximum) : number)
    taken.add(index)
  }
}

const claimValues = (tokens: ReadonlyArray<Token>, shape: ToolShape, params: Map<string, unknown>): Set<number> => {
  const taken = new Set<number>()
  for (const parameter of shape.parameters) {
    for (const value of parameter.values) {
      const wanted = String(value).toLowerCase().replaceAll(/[_-]/g, " ")
      const index = tokens.findIndex((token, position) =>
        token.text.toLowerCase() === wanted || token.word === wanted ||
        `${token.text} ${tokens[position + 1]?.text}`.toLowerCase() === wanted
      )
      if (index < 0 || params.has(parameter.name)) continue
      params.set(parameter.name, value)
      taken.add(index)
    }
  }
  return taken
}

const isCapital = (token: Token | undefined): boolean => token !== undefined && /^\p{Lu}/u.test(token.text)

/** A capitalised word; at the start of a sentence it counts only when its neighbours are capitalised too. */
const isName = (token: Token, next: Token | undefined, shape: ToolShape): boolean => {
  if (!isCapital(token) || currencies.has(token.word) || shape.nouns.includes(token.word)) return false
  if (!token.startsSentence) return true
  return !isVerb(token.word) && !stopWords.has(token.word) && (isCapital(next) || /['’]s$/.test(token.text))
}

interface Phrase {
  readonly text: string
  readonly tokens: ReadonlyArray<number>
}

/** Quoted strings first, then runs of capitalised words, the last run before earlier ones. */
const phrasesOf = (
  tokens: ReadonlyArray<Token>,
  shape: ToolShape,
  taken: ReadonlySet<number>
): ReadonlyArray<Phrase> => {
  const runs: Array<{ text: string; tokens: Array<number> }> = []
  tokens.forEach((token, index) => {
    if (token.quoted || token.number !== undefined || taken.has(index)) return
    if (!isName(token, tokens[index + 1], shape)) return
    const text = token.text.replace(/['’]s$/, "")
    const last = runs.at(-1)
    if (last !== undefined && last.tokens.at(-1) === index - 1) {
      last.text += ` ${text}`
      last.tokens.push(index)
    } else {
      runs.push({ text, tokens: [index] })
    }
  })
  const quoted = tokens.flatMap((token, index) => token.quoted ? [{ text: token.text, tokens: [index] }] : [])
  return [...quoted, ...runs.toReversed()]
}

const topicOf = (tokens: ReadonlyArray<Token>, shape: ToolShape): string => {
  const preposition = tokens.findIndex((token) => ["for", "about", "on", "of"].includes(token.word))
  const lead = preposition < 0 && conceptOf(tokens[0]?.word ?? "") === shape.verb ? 0 : preposition
  return tokens.slice(lead + 1).map((token) => token.text).join(" ")
}

const stringFor = (
  parameter: Parameter,
  shape: ToolShape,
  tokens: ReadonlyArray<Token>,
  phrases: ReadonlyArray<Phrase>,
  taken: Set<number>
): string | undefined => {
  const take = (index: number): string | undefined => {
    const token = tokens[index]
    if (token === undefined || taken.has(index)) return undefined
    taken.add(index)
    return token.text
  }
  if (parameter.role === "identifier") {
    const index = tokens.findIndex((token, index) => {
      if (taken.has(index) || !/\d/.test(token.text)) return false
      const lead = before(tokens, index) ?? ""
      if (shape.nouns.includes(lead) || parameter.words.includes(lead)) return true
      return token.symbol === "#" || (parameter.required && !namesOther(lead))
    })
    return take(index)?.replace(/^#/, "")
  }
  if (parameter.words.includes("email")) return take(tokens.findIndex((token) => /.@./.test(token.text)))
  const phrase = phrases.find((phrase) => phrase.tokens.every((index) => !taken.has(index)))
  if (phrase === undefined) return parameter.role === "query" && parameter.required ? topicOf(tokens, shape) : undefined
  phrase.tokens.forEach((index) => taken.add(index))
  return phrase.text
}

const claimStrings = (
  tokens: ReadonlyArray<Token>,
  shape: ToolShape,
  params: Map<string, unknown>,
  taken: Set<number>
): void => {
  const phrases = phrasesOf(tokens, shape, taken)
  for (const parameter of shape.parameters.toSorted((left, right) => Number(right.required) - Number(left.required))) {
    if (parameter.kind !== "string" || parameter.values.length > 0 || params.has(parameter.name)) continue
    const text = stringFor(parameter, shape, tokens, phrases, taken)
    if (text !== undefined && text !== "" && (parameter.pattern?.test(text) ?? true)) params.set(parameter.name, text)
  }
}

const defaultOf = (parameter: Parameter): unknown => {
  if (parameter.fallback !== undefined) return parameter.fallback
  if (parameter.role === "limit" && parameter.kind !== "other") return Math.min(10, parameter.maximum)
  if (!parameter.required) return undefined
  return parameter.values.length === 1 ? parameter.values[0] : parameter.kind === "boolean" ? false : undefined
}

/** Fills a tool's parameters from the words of the question. */
export const fill = (shape: ToolShape, tokens: ReadonlyArray<Token>): Filled => {
  const params = new Map<string, unknown>()
  const taken = claimValues(tokens, shape, params)
  claimNumbers(tokens, shape, params, taken)
  claimStrings(tokens, shape, params, taken)
  for (const parameter of shape.parameters) {
    const named = parameter.kind === "boolean" && tokens.some((token) => parameter.words.includes(token.word))
    if (named) params.set(parameter.name, true)
  }
  const named = params.size
  for (const parameter of shape.parameters) {
    const value = params.has(parameter.name) ? undefined : defaultOf(parameter)
    if (value !== undefined) params.set(parameter.name, value)
  }
  return {
    params: Object.fromEntries(
      shape.parameters.flatMap(({ name }) => params.has(name) ? [[name, params.get(name)]] : [])
    ),
    missing: shape.parameters.filter(({ name, required }) => required && !params.has(name)),
    named
  }
}
