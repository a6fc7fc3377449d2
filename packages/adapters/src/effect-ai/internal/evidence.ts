// Collects the results of earlier calls that are still valid. The planner fills missing parameters from it.
import { Predicate } from "effect"
import type { Conversation, ToolExchange } from "./conversation.ts"
import type { Intent } from "./intent.ts"
import type { Filled } from "./slots.ts"
import { isAmountWord, type Parameter, type ToolShape } from "./toolShape.ts"
import { wordsOfName } from "./words.ts"

/** The results of earlier calls of a conversation, newest first. */
export interface Evidence {
  readonly exchanges: ReadonlyArray<ToolExchange>
  /** Successful calls whose results no later change has outdated. */
  readonly valid: ReadonlyArray<ToolExchange>
  readonly shapeOf: (exchange: ToolExchange) => ToolShape | undefined
}

export const read = (conversation: Conversation, shapes: ReadonlyArray<ToolShape>): Evidence => {
  const byName = new Map(shapes.map((shape) => [shape.name, shape]))
  const exchanges = conversation.exchanges.toReversed()
  const succeeded = exchanges.filter((exchange) => exchange.status === "success")
  const change = succeeded.find((exchange) => byName.get(exchange.tool)?.effect !== "reads")
  const position = change?.position ?? -1
  return {
    exchanges,
    valid: succeeded.filter((exchange) => exchange.current || exchange.position > position),
    shapeOf: (exchange) => byName.get(exchange.tool)
  }
}

/** The values that identify the object of a call. */
export const idsOf = (shape: ToolShape | undefined, params: unknown): ReadonlyArray<unknown> =>
  shape === undefined || !Predicate.isReadonlyObject(params)
    ? []
    : shape.parameters.flatMap(({ name, role }) => role === "identifier" && name in params ? [params[name]] : [])

interface Field {
  readonly words: ReadonlyArray<string>
  readonly value: unknown
}

const fieldsOf = (node: unknown, path: ReadonlyArray<string> = []): ReadonlyArray<Field> =>
  !Predicate.isReadonlyObject(node) || path.length > 3 ? [] : Object.entries(node).flatMap(([key, value]) => {
    const words = [...path, ...wordsOfName(key)]
    return [{ words, value }, ...fieldsOf(value, words)]
  })

const names = (words: ReadonlyArray<string>, parameter: Parameter): boolean =>
  parameter.words.every((word) => words.includes(word))

const fieldFor = (result: unknown, parameter: Parameter): unknown => {
  const type = parameter.kind === "string" ? "string" : "number"
  const fits = fieldsOf(result).filter(({ value }) => typeof value === type)
  const exact = fits.find(({ words }) => names(words, parameter))
  const amount = parameter.role === "amount" ? fits.find(({ words }) => words.some(isAmountWord)) : undefined
  return (exact ?? amount)?.value
}

/** Whether a tool's result schema has a field for a parameter. */
export const mayYield = (shape: ToolShape, parameter: Parameter): boolean =>
  shape.yields.some((words) => names(words, parameter) || (parameter.role === "amount" && words.some(isAmountWord)))

const lookUp = (
  parameter: Parameter,
  ids: ReadonlyArray<unknown>,
  shape: ToolShape,
  evidence: Evidence,
  intent: Intent
) => {
  const { shapeOf, valid } = evidence
  if (parameter.role === "amount") {
    if (!intent.wantsAll) return undefined
    const related = valid.filter((exchange) => idsOf(shapeOf(exchange), exchange.params).some((id) => ids.includes(id)))
    return related.map(({ result }) => fieldFor(result, parameter)).find(Predicate.isNotUndefined)
  }
  if (shape.effect !== "reads" && !intent.refersBack) return undefined
  return valid.map(({ params, result }) => {
    const referred = Predicate.isReadonlyObject(params) && intent.refersBack ? params[parameter.name] : undefined
    return referred ?? fieldFor(result, parameter)
  }).find(Predicate.isNotUndefined)
}

/** Fills parameters that the question left open from known results; an amount only from the object of the call. */
export const complete = (shape: ToolShape, filled: Filled, evidence: Evidence, intent: Intent): Filled => {
  const params: Record<string, unknown> = { ...filled.params }
  const inOrder = filled.missing.toSorted((left, right) =>
    Number(left.role === "amount") - Number(right.role === "amount")
  )
  const missing = inOrder.filter((parameter) => {
    const known = lookUp(parameter, idsOf(shape, params), shape, evidence, intent)
    if (known !== undefined) params[parameter.name] = known
    return known === undefined
  })
  return { params, missing, named: filled.named }
}
