// Builds a value of a JSON schema, for structured output of the offline model.
import { Predicate } from "effect"
import type { Conversation } from "./conversation.ts"
import * as Slots from "./slots.ts"
import { type JsonObject, parametersOf, resolveSchema, type ToolShape } from "./toolShape.ts"

const object = (u: unknown): JsonObject => Predicate.isReadonlyObject(u) ? u : {}
const number = (u: unknown, fallback: number): number => typeof u === "number" ? u : fallback
const array = (u: unknown): ReadonlyArray<unknown> => Array.isArray(u) ? u : []

const shapeFor = (schema: JsonObject): ToolShape => ({
  name: "answer",
  verb: "answer",
  nouns: [],
  nameWords: ["answer"],
  hints: [],
  description: undefined,
  parameters: parametersOf(schema),
  effect: "reads",
  yields: []
})

const text = (node: JsonObject, question: string): string => {
  const formats: Record<string, string> = {
    "date-time": "1970-01-01T00:00:00.000Z",
    date: "1970-01-01",
    uri: "https://example.com/"
  }
  const known = typeof node.format === "string" ? formats[node.format] : undefined
  const value = known ?? question
  return value.padEnd(number(node.minLength, 0), ".").slice(0, number(node.maxLength, Infinity))
}

/** Builds the smallest value of a JSON schema, using the words of the question where they fit. */
export const instanceOf = (root: unknown, conversation: Conversation): unknown => {
  const definitions = object(object(root).$defs)
  const build = (schema: unknown, depth: number): unknown => {
    const node = resolveSchema(schema, definitions)
    if (node.default !== undefined) return node.default
    if ("const" in node) return node.const
    const values = array(node.enum)
    if (values.length > 0) return values[0]
    switch (node.type) {
      case "object": {
        const named = Slots.fill(shapeFor({ ...node, $defs: definitions }), conversation.tokens).params
        const required = array(node.required)
        const properties = Object.entries(object(node.properties))
        return Object.fromEntries(
          properties.flatMap(([key, property]) =>
            key in named
              ? [[key, named[key]]]
              : required.includes(key) && depth < 8
              ? [[key, build(property, depth + 1)]]
              : []
          )
        )
      }
      case "array":
        return Array.from({ length: number(node.minItems, 0) }, () => build(node.items, depth + 1))
      case "integer":
      case "number":
        return Math.max(0, number(node.minimum, 0), number(node.exclusiveMinimum, -1) + 1)
      case "boolean":
        return false
      case "null":
        return null
      default:
        return text(node, conversation.question)
    }
  }
  return build(root, 0)
}
