import { Equal, Predicate } from "effect"
import type { Conversation, Exchange } from "./conversation.ts"
import * as Slots from "./slots.ts"
import { isAmountWord, type Parameter, type ToolShape } from "./toolShape.ts"
import {
  changingConcepts,
  conceptOf,
  displayWords,
  isPlural,
  isVerb,
  stopWords,
  type Token,
  wordsOfName
} from "./words.ts"

export type Plan =
  | { readonly _tag: "Call"; readonly tool: string; readonly params: Readonly<Record<string, unknown>> }
  | { readonly _tag: "Report"; readonly shape: ToolShape; readonly exchange: Exchange }
  | { readonly _tag: "Failed"; readonly exchange: Exchange }
  | { readonly _tag: "Waiting"; readonly exchange: Exchange }
  | { readonly _tag: "Ask"; readonly shape: ToolShape; readonly missing: ReadonlyArray<Parameter> }
  | { readonly _tag: "Unable" }

interface Candidate extends Slots.Filled {
  readonly shape: ToolShape
  readonly score: number
}

const fullWords = new Set(["all", "full", "fully", "entire", "entirely", "whole", "everything", "completely", "total"])
const pronouns = new Set(["it", "that", "this", "them"])
const questionLeads = new Set("how what when which who why did was were is are has have".split(" "))
const nounLeads = new Set(["the", "my", "any", "this", "that", "last", "their", "your", "for", "about", "on", "of"])
const conjunctions = new Set(["and", "then", "please", "to"])
const negations = new Set(["not", "don't", "don’t", "never", "without"])

const pastLeads = new Set("why did was were has have who when".split(" "))

/** Whether the question orders a deed, instead of asking about it: "refund order 7", not "was my refund paid". */
const orders = (tokens: ReadonlyArray<Token>, { effect, verb }: Pick<ToolShape, "effect" | "verb">): boolean => {
  const lead = tokens[0]?.text.toLowerCase() ?? ""
  const index = tokens.findIndex((token) => !token.quoted && conceptOf(token.text.toLowerCase()) === verb)
  if (index < 0 || (effect === "writes" ? questionLeads : pastLeads).has(lead)) return false
  const earlier = tokens.slice(0, index).map((token) => token.text.toLowerCase())
  if (earlier.some((word) => negations.has(word))) return false
  if (effect !== "writes") return true
  const previous = earlier.at(-1) ?? ""
  return !nounLeads.has(previous) && (conjunctions.has(previous) || !earlier.some(isVerb))
}

const allowed = (shape: ToolShape, tokens: ReadonlyArray<Token>, ordered: boolean): boolean =>
  shape.effect === "reads" ? !ordered : orders(tokens, shape)

const score = (
  shape: ToolShape,
  tokens: ReadonlyArray<Token>,
  filled: Slots.Filled,
  subject: string | undefined
): number => {
  const plain = tokens.filter((token) => token.number === undefined && !token.quoted)
  const parameterWords = new Set(shape.parameters.flatMap((parameter) => parameter.words))
  let total = filled.named + (subject !== undefined && shape.nouns.includes(subject) ? 2 : 0)
  const seen = new Set<string>()
  for (const token of plain) {
    if (seen.has(token.word)) continue
    seen.add(token.word)
    if (conceptOf(token.word) === shape.verb) total += 3
    else if (displayWords.has(token.word) && shape.effect === "reads") total += 1
    else if (shape.nouns.includes(token.word)) total += 3
    else if (stopWords.has(token.word)) continue
    else if (parameterWords.has(token.word)) total += 2
    else if (shape.hints.includes(token.word)) total += 1
  }
  const plural = plain.some((token) => isPlural(token) && shape.nouns.includes(token.word))
  const many = shape.verb === "search" || shape.parameters.some((parameter) => parameter.role === "limit")
  return plural === many ? total + 1 : total
}

/** Whether the question has anything to do with a tool. */
const touches = (shape: ToolShape, tokens: ReadonlyArray<Token>, { named }: Slots.Filled): boolean => {
  const verbSays = shape.nouns.length === 0 || shape.effect !== "reads" || named > 0
  return tokens.some(({ word }) =>
    shape.nouns.includes(word) || (verbSays && conceptOf(word) === shape.verb) ||
    (!stopWords.has(word) && !displayWords.has(word) && conceptOf(word) === word && shape.hints.includes(word))
  )
}

const idsOf = (shape: ToolShape | undefined, params: unknown): ReadonlyArray<unknown> =>
  shape === undefined || !Predicate.isReadonlyObject(params)
    ? []
    : shape.parameters.flatMap(({ name, role }) => role === "identifier" && name in params ? [params[name]] : [])

const fieldFor = (result: unknown, parameter: Parameter): unknown => {
  const fields: Array<{ readonly words: ReadonlyArray<string>; readonly value: unknown }> = []
  const visit = (node: unknown, path: ReadonlyArray<string>): void => {
    if (!Predicate.isReadonlyObject(node) || path.length > 3) return
    for (const [key, value] of Object.entries(node)) {
      const words = [...path, ...wordsOfName(key)]
      fields.push({ words, value })
      visit(value, words)
    }
  }
  visit(result, [])
  const fits = fields.filter(({ value }) =>
    parameter.kind === "string" ? typeof value === "string" : typeof value === "number"
  )
  const exact = fits.find(({ words }) => parameter.words.every((word) => words.includes(word)))
  const amount = parameter.role === "amount" ? fits.find(({ words }) => words.some(isAmountWord)) : undefined
  return (exact ?? amount)?.value
}

/** Decides what to do next from the question, the tools and what earlier calls returned. */
export const plan = (conversation: Conversation, shapes: ReadonlyArray<ToolShape>): Plan => {
  const { exchanges, tokens } = conversation
  const current = exchanges.filter((exchange) => exchange.current)
  const byName = new Map(shapes.map((shape) => [shape.name, shape]))
  const stopped = current.findLast((exchange) => exchange.status !== "success")
  if (stopped !== undefined) return { _tag: stopped.status === "failure" ? "Failed" : "Waiting", exchange: stopped }

  const says = (words: ReadonlySet<string>) => tokens.some((token) => words.has(token.text.toLowerCase()))
  const lastWrite = exchanges.findLast((exchange) =>
    exchange.status === "success" && byName.get(exchange.tool)?.effect !== "reads"
  )
  const holds = (exchange: Exchange) =>
    exchange.status === "success" && (exchange.current || exchange.position > (lastWrite?.position ?? -1))

  const resolve = (shape: ToolShape, filled: Slots.Filled): Slots.Filled => {
    const params = new Map(Object.entries(filled.params))
    const missing: Array<Parameter> = []
    const subjects = idsOf(shape, filled.params)
    for (const parameter of filled.missing) {
      const about = (exchange: Exchange) =>
        subjects.length === 0 || idsOf(byName.get(exchange.tool), exchange.params).some((id) => subjects.includes(id))
      const sources = exchanges.filter(holds).toReversed()
      const wanted = parameter.role === "amount" ? says(fullWords) : shape.effect === "reads" || says(pronouns)
      const known = wanted
        ? sources.filter((exchange) => parameter.role !== "amount" || about(exchange)).map((exchange) =>
          parameter.role === "identifier" && Predicate.isReadonlyObject(exchange.params) && says(pronouns)
            ? exchange.params[parameter.name] ?? fieldFor(exchange.result, parameter)
            : fieldFor(exchange.result, parameter)
        ).find(Predicate.isNotUndefined)
        : undefined
      if (known === undefined) missing.push(parameter)
      else params.set(parameter.name, known)
    }
    return { params: Object.fromEntries(params), missing, named: filled.named }
  }

  /** The first thing the question names that some tool deals with. */
  const subject = tokens.find((token) => shapes.some((shape) => shape.nouns.includes(token.word)))?.word

  const candidates = (ordered: boolean): ReadonlyArray<Candidate> =>
    shapes.flatMap((shape) => {
      const filled = Slots.fill(shape, tokens)
      if (!allowed(shape, tokens, ordered) || !touches(shape, tokens, filled)) return []
      return [{ shape, score: score(shape, tokens, filled, subject), ...resolve(shape, filled) }]
    }).toSorted((left, right) => right.score - left.score)

  /** A reading tool that can be called now and may hold what the goal lacks. */
  const sourceFor = (goal: Candidate): Candidate | undefined => {
    const wanted = goal.missing.some((parameter) => parameter.role !== "amount" || says(fullWords))
    const subjects = idsOf(goal.shape, goal.params)
    if (!wanted) return undefined
    const ranked = shapes.flatMap((shape) => {
      if (
        shape.effect !== "reads" || shape === goal.shape || current.some((exchange) => exchange.tool === shape.name)
      ) {
        return []
      }
      const filled = Slots.fill(shape, tokens)
      const shares = subjects.length === 0 || idsOf(shape, filled.params).some((id) => subjects.includes(id))
      if (!shares || filled.missing.length > 0 || filled.named === 0) return []
      const yields = goal.missing.some((parameter) =>
        shape.yields.some((path) =>
          parameter.words.every((word) => path.includes(word)) ||
          (parameter.role === "amount" && path.some(isAmountWord))
        )
      )
      if (!yields && shape.yields.length > 0) return []
      return [{ shape, score: (yields ? 10 : 0) + score(shape, tokens, filled, subject), ...filled }]
    })
    return ranked.toSorted((left, right) => right.score - left.score)[0]
  }

  const pursue = (goal: Candidate): Plan => {
    const done = current.find((exchange) => exchange.tool === goal.shape.name) ??
      exchanges.findLast((exchange) =>
        exchange.tool === goal.shape.name && exchange.status === "success" &&
        (holds(exchange) || goal.shape.effect === "writes") && Equal.equals(exchange.params, goal.params)
      )
    if (done !== undefined) return { _tag: "Report", shape: goal.shape, exchange: done }
    if (goal.missing.length === 0) return { _tag: "Call", tool: goal.shape.name, params: goal.params }
    const source = sourceFor(goal)
    if (source !== undefined) return { _tag: "Call", tool: source.shape.name, params: source.params }
    return { _tag: "Ask", shape: goal.shape, missing: goal.missing }
  }

  const missingTool = changingConcepts.some((verb) =>
    !shapes.some((shape) => shape.verb === verb) && orders(tokens, { effect: "writes", verb })
  )
  if (missingTool) return { _tag: "Unable" }
  const ordered = shapes.some((shape) => shape.effect === "writes" && orders(tokens, shape))
  const ranked = candidates(ordered)
  const best = ranked[0]
  if (best === undefined) return { _tag: "Unable" }
  const ready = ranked.find((candidate) => candidate.missing.length === 0 || sourceFor(candidate) !== undefined)
  return pursue(ready !== undefined && best.score <= ready.score * 1.5 ? ready : best)
}
