// Reads the planner's view of a tool from its name, description and schemas.
import * as JsonSchema from "@fastagentic/core/base/JsonSchema"
import { Context, Predicate } from "effect"
import * as Tool from "effect/ai/Tool"
import { conceptOf, wordsOfName, wordsOfText } from "./words.ts"

export type JsonObject = { readonly [key: PropertyKey]: unknown }

export interface Parameter {
  readonly name: string
  readonly words: ReadonlyArray<string>
  readonly hints: ReadonlyArray<string>
  readonly kind: "integer" | "number" | "string" | "boolean" | "other"
  readonly role: "identifier" | "amount" | "limit" | "query" | "plain"
  readonly required: boolean
  readonly values: ReadonlyArray<string | number>
  readonly minimum: number
  readonly maximum: number
  readonly pattern: RegExp | undefined
  readonly fallback: unknown
}

export interface ToolShape {
  readonly name: string
  readonly verb: string
  readonly nouns: ReadonlyArray<string>
  readonly nameWords: ReadonlyArray<string>
  readonly hints: ReadonlyArray<string>
  readonly description: string | undefined
  readonly parameters: ReadonlyArray<Parameter>
  /** Whether the tool reads or changes data, or whether its name does not show it. */
  readonly effect: "reads" | "writes" | "unknown"
  /** Words of the result's fields, one list per path. */
  readonly yields: ReadonlyArray<ReadonlyArray<string>>
}

const amountWords = new Set(["amount", "total", "price", "sum", "value", "cost", "fee", "balance"])
const limitWords = new Set(["limit", "max", "top", "count", "size", "first"])
const identifierWords = new Set(["id", "number", "key", "code", "ref", "reference", "no"])
const queryWords = new Set(["query", "question", "text", "keyword", "term", "topic", "q", "prompt", "message"])

export const isAmountWord = (word: string): boolean => amountWords.has(word)

const roleOf = (words: ReadonlyArray<string>): Parameter["role"] => {
  if (words.some((word) => identifierWords.has(word))) return "identifier"
  if (words.some((word) => limitWords.has(word))) return "limit"
  if (words.some((word) => amountWords.has(word))) return "amount"
  return words.some((word) => queryWords.has(word)) ? "query" : "plain"
}

const array = (u: unknown): ReadonlyArray<unknown> => Array.isArray(u) ? u : []
const object = (u: unknown): JsonObject => Predicate.isReadonlyObject(u) ? u : {}
const numberOr = (u: unknown, fallback: number): number => typeof u === "number" ? u : fallback

/** Follows `$ref` and takes the first branch of a union that is not `null`. */
export const resolveSchema = (schema: unknown, definitions: JsonObject): JsonObject => {
  const node = object(schema)
  if (typeof node.$ref === "string") {
    return resolveSchema(JsonSchema.targetOf(node, definitions), definitions)
  }
  const branches = array(node.anyOf ?? node.oneOf)
  const branch = branches.find((branch) => object(branch).type !== "null")
  if (branch !== undefined) {
    return { ...node, ...resolveSchema(branch, definitions), anyOf: undefined, oneOf: undefined }
  }
  return array(node.allOf).reduce<JsonObject>(
    (merged, part) => ({ ...resolveSchema(part, definitions), ...merged }),
    { ...node, allOf: undefined }
  )
}

const patternOf = (source: unknown): RegExp | undefined => {
  if (typeof source !== "string") return undefined
  try {
    return new RegExp(source, "u")
  } catch {
    return undefined
  }
}

export const parameterOf = (name: string, schema: unknown, required: boolean, definitions: JsonObject): Parameter => {
  const node = resolveSchema(schema, definitions)
  const words = wordsOfName(name)
  const { type } = node
  const exclusive = numberOr(node.exclusiveMinimum, -Infinity)
  return {
    name,
    words,
    hints: typeof node.description === "string" ? wordsOfText(node.description) : [],
    kind: type === "integer" || type === "number" || type === "string" || type === "boolean" ? type : "other",
    role: roleOf(words),
    required,
    values: array("const" in node ? [node.const] : node.enum).filter((value) =>
      typeof value === "string" || typeof value === "number"
    ),
    minimum: Math.max(
      numberOr(node.minimum, -Infinity),
      type === "integer" ? exclusive + 1 : exclusive + Number.EPSILON
    ),
    maximum: numberOr(node.maximum, numberOr(node.exclusiveMaximum, Infinity) - Number(type === "integer")),
    pattern: patternOf(node.pattern),
    fallback: node.default
  }
}

export const parametersOf = (schema: unknown): ReadonlyArray<Parameter> => {
  const definitions = object(object(schema).$defs)
  const root = resolveSchema(schema, definitions)
  const required = array(root.required)
  return Object.entries(object(root.properties)).map(([name, property]) =>
    parameterOf(name, property, required.includes(name), definitions)
  )
}

const fieldsOf = (schema: unknown): ReadonlyArray<ReadonlyArray<string>> => {
  const definitions = object(object(schema).$defs)
  const visit = (node: unknown, path: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> =>
    Object.entries(object(resolveSchema(node, definitions).properties)).flatMap(([key, value]) => {
      const words = [...path, ...wordsOfName(key)]
      return path.length > 3 ? [words] : [words, ...visit(value, words)]
    })
  return visit(schema, [])
}

const describeSuccess = (tool: Tool.Any): unknown => {
  try {
    return Tool.getJsonSchemaFromSchema(tool.successSchema)
  } catch {
    return {}
  }
}

const readingVerbs = new Set(["find", "search", "show", "count", "describe", "compare", "calculate"])
const writingVerbs = new Set(
  ("create update delete cancel refund send approve reject close ship charge pay transfer book assign submit publish " +
    "move reset set run execute deploy restart write escalate").split(" ")
)

const effectOf = (tool: Tool.Any, words: ReadonlyArray<string>, verb: string): ToolShape["effect"] => {
  if (Context.get(tool.annotations, Tool.Readonly) || readingVerbs.has(verb)) return "reads"
  if (writingVerbs.has(verb)) return "writes"
  return words.length < 2 ? "reads" : "unknown"
}

const build = (tool: Tool.Any): ToolShape => {
  const name: string = tool.name
  const nameWords = wordsOfName(name)
  const verb = conceptOf(nameWords[0] ?? name)
  const description = Tool.getDescription(tool)
  return {
    name,
    verb,
    nouns: nameWords.slice(1),
    nameWords,
    hints: description === undefined ? [] : wordsOfText(description),
    description,
    parameters: parametersOf(Tool.getJsonSchema(tool)),
    effect: effectOf(tool, nameWords, verb),
    yields: fieldsOf(describeSuccess(tool))
  }
}

const shapes = new WeakMap<Tool.Any, ToolShape>()

/** Reads the planner's view of a tool from its schemas. */
export const shapeOf = (tool: Tool.Any): ToolShape => {
  const known = shapes.get(tool)
  if (known !== undefined) return known
  const shape = build(tool)
  shapes.set(tool, shape)
  return shape
}
