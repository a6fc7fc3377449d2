// Decides the next action of the offline model from the question, the tools and earlier results. It is deterministic.
import { Equal } from "effect"
import type { Conversation, ToolExchange } from "./conversation.ts"
import * as Evidence from "./evidence.ts"
import * as Intent from "./intent.ts"
import * as Slots from "./slots.ts"
import type { Parameter, ToolShape } from "./toolShape.ts"
import { conceptOf, displayWords, isPlural, stopWords, type Token } from "./words.ts"

export type Plan =
  | { readonly _tag: "Call"; readonly tool: string; readonly params: Readonly<Record<string, unknown>> }
  | { readonly _tag: "Report"; readonly shape: ToolShape; readonly exchange: ToolExchange }
  | { readonly _tag: "Failed"; readonly exchange: ToolExchange }
  | { readonly _tag: "Waiting"; readonly exchange: ToolExchange }
  | { readonly _tag: "Ask"; readonly shape: ToolShape; readonly missing: ReadonlyArray<Parameter> }
  | { readonly _tag: "Unable" }

interface Candidate extends Slots.Filled {
  readonly shape: ToolShape
  readonly score: number
}

/** The inputs of a decision. */
interface Situation {
  readonly tokens: ReadonlyArray<Token>
  readonly shapes: ReadonlyArray<ToolShape>
  readonly intent: Intent.Intent
  readonly evidence: Evidence.Evidence
  /** The first object of the question that a tool handles. */
  readonly subject: string | undefined
}

const wordScore = (word: string, shape: ToolShape): number => {
  if (conceptOf(word) === shape.verb) return 3
  if (displayWords.has(word) && shape.effect === "reads") return 1
  if (shape.nouns.includes(word)) return 3
  if (stopWords.has(word)) return 0
  if (shape.parameters.some((parameter) => parameter.words.includes(word))) return 2
  return shape.hints.includes(word) ? 1 : 0
}

const score = (shape: ToolShape, filled: Slots.Filled, { subject, tokens }: Situation): number => {
  const plain = tokens.filter((token) => token.number === undefined && !token.quoted)
  const words = new Set(plain.map(({ word }) => word))
  const overlap = [...words].reduce((total, word) => total + wordScore(word, shape), 0)
  const plural = plain.some((token) => isPlural(token) && shape.nouns.includes(token.word))
  const many = shape.verb === "search" || shape.parameters.some((parameter) => parameter.role === "limit")
  const ofSubject = subject !== undefined && shape.nouns.includes(subject)
  return filled.named + overlap + (plural === many ? 1 : 0) + (ofSubject ? 2 : 0)
}

/** Whether the question concerns a tool at all. */
const touches = (shape: ToolShape, tokens: ReadonlyArray<Token>, { named }: Slots.Filled): boolean => {
  const verbSays = shape.nouns.length === 0 || shape.effect !== "reads" || named > 0
  return tokens.some(({ word }) =>
    shape.nouns.includes(word) || (verbSays && conceptOf(word) === shape.verb) ||
    (!stopWords.has(word) && !displayWords.has(word) && conceptOf(word) === word && shape.hints.includes(word))
  )
}

const byScore = (candidates: ReadonlyArray<Candidate>): ReadonlyArray<Candidate> =>
  candidates.toSorted((left, right) => right.score - left.score)

const candidates = (situation: Situation): ReadonlyArray<Candidate> => {
  const { evidence, intent, shapes, tokens } = situation
  const changes = shapes.some((shape) => shape.effect === "writes" && intent.orders(shape))
  return byScore(shapes.flatMap((shape) => {
    const filled = Slots.fill(shape, tokens)
    const allowed = shape.effect === "reads" ? !changes : intent.orders(shape)
    if (!allowed || !touches(shape, tokens, filled)) return []
    const completed = Evidence.complete(shape, filled, evidence, intent)
    return [{ ...completed, shape, score: score(shape, filled, situation) }]
  }))
}

/** A reading tool that can be called now and may return the missing parameter. */
const sourceFor = (goal: Candidate, situation: Situation): Candidate | undefined => {
  const { evidence, intent, shapes, tokens } = situation
  const wanted = goal.missing.filter((parameter) => parameter.role !== "amount" || intent.wantsAll)
  if (wanted.length === 0) return undefined
  const ids = Evidence.idsOf(goal.shape, goal.params)
  const tried = (shape: ToolShape) =>
    evidence.exchanges.some((exchange) => exchange.current && exchange.tool === shape.name)
  return byScore(shapes.flatMap((shape) => {
    if (shape.effect !== "reads" || shape === goal.shape || tried(shape)) return []
    const filled = Slots.fill(shape, tokens)
    const matches = ids.length === 0 || Evidence.idsOf(shape, filled.params).some((id) => ids.includes(id))
    if (!matches || filled.missing.length > 0 || filled.named === 0) return []
    const yields = wanted.some((parameter) => Evidence.mayYield(shape, parameter))
    if (!yields && shape.yields.length > 0) return []
    return [{ ...filled, shape, score: score(shape, filled, situation) + (yields ? 10 : 0) }]
  }))[0]
}

/** The call that already did the requested work: a call is not repeated for one question, and a change never is. */
const made = ({ params, shape }: Candidate, { evidence }: Situation): ToolExchange | undefined =>
  evidence.exchanges.find((exchange) => exchange.current && exchange.tool === shape.name) ??
    evidence.exchanges.find((exchange) =>
      exchange.tool === shape.name && exchange.status === "success" && Equal.equals(exchange.params, params) &&
      (shape.effect === "writes" || evidence.valid.includes(exchange))
    )

const pursue = (goal: Candidate, situation: Situation): Plan => {
  const exchange = made(goal, situation)
  if (exchange !== undefined) return { _tag: "Report", shape: goal.shape, exchange }
  const next = goal.missing.length === 0 ? goal : sourceFor(goal, situation)
  return next === undefined
    ? { _tag: "Ask", shape: goal.shape, missing: goal.missing }
    : { _tag: "Call", tool: next.shape.name, params: next.params }
}

/** Decides the next action from the question, the tools and earlier results. */
export const plan = (conversation: Conversation, shapes: ReadonlyArray<ToolShape>): Plan => {
  const { exchanges, tokens } = conversation
  const stopped = exchanges.findLast((exchange) => exchange.current && exchange.status !== "success")
  if (stopped !== undefined) return { _tag: stopped.status === "failure" ? "Failed" : "Waiting", exchange: stopped }
  const situation: Situation = {
    tokens,
    shapes,
    intent: Intent.read(tokens),
    evidence: Evidence.read(conversation, shapes),
    subject: tokens.find((token) => shapes.some((shape) => shape.nouns.includes(token.word)))?.word
  }
  if (Intent.isOutOfReach(situation.intent, shapes)) return { _tag: "Unable" }
  const ranked = candidates(situation)
  const best = ranked[0]
  if (best === undefined) return { _tag: "Unable" }
  const ready = ranked.find((goal) => goal.missing.length === 0 || sourceFor(goal, situation) !== undefined)
  return pursue(ready !== undefined && best.score <= ready.score * 1.5 ? ready : best, situation)
}
