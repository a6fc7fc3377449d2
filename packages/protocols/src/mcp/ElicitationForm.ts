// A JSON Schema as a form of elicitation: a flat object of strings, numbers, booleans and choices.
import * as JsonSchema from "@fastagentic/core/base/JsonSchema"
import type * as Sdk from "@modelcontextprotocol/server"
import { Predicate, type Schema } from "effect"

export type Fields = Record<string, Sdk.PrimitiveSchemaDefinition>

/** A form, and the value that its content stands for. */
export interface Form {
  readonly fields: Fields
  readonly required: Array<string>
  readonly valueOf: (content: Content) => Schema.Json
}

/** The content of a form that a client sends back. */
export type Content = { readonly [field: string]: Schema.Json }

type Node = { readonly [key: string]: unknown }

/** Nothing when a form cannot hold the value; a value that is not an object has the field `value`. */
export const fromJsonSchema = (schema: unknown): Form | undefined => {
  if (!Predicate.isObject(schema)) return undefined
  const root: Node = { ...schema }
  if (root["type"] === "object") return ofObject(root)
  const field = fieldOf(root, root)
  return field === undefined ? undefined : {
    fields: { value: field.definition },
    required: field.nullable ? [] : ["value"],
    valueOf: ({ value = null }) => value
  }
}

const ofObject = (root: Node): Form | undefined => {
  const properties = Object.entries({ ...Object(root["properties"]) })
  const wanted = Array.isArray(root["required"]) ? root["required"].filter(Predicate.isString) : []
  const fields: Fields = {}
  const nulls: Record<string, null> = {}
  for (const [name, property] of properties) {
    const field = fieldOf(root, property)
    if (field === undefined) return undefined
    fields[name] = field.definition
    if (field.nullable && wanted.includes(name)) nulls[name] = null
  }
  return {
    fields,
    required: wanted.filter((name) => !Object.hasOwn(nulls, name)),
    valueOf: (content) => ({ ...nulls, ...content })
  }
}

interface Field {
  readonly definition: Sdk.PrimitiveSchemaDefinition
  readonly nullable: boolean
}

const fieldOf = (root: Node, schema: unknown): Field | undefined => {
  const node = resolved(root, schema)
  const options = Array.isArray(node["anyOf"]) ? node["anyOf"].map((one) => resolved(root, one)) : []
  const some = options.filter(({ type }) => type !== "null")
  if (options.length === 2 && some.length === 1) {
    const field = fieldOf(root, { ...some[0], ...labelsOf(node) })
    return field && { ...field, nullable: true }
  }
  const definition = definitionOf(node)
  return definition && { definition, nullable: false }
}

/** Uses the keywords that every revision has; the answer is checked against the whole schema later. */
const definitionOf = (node: Node): Sdk.PrimitiveSchemaDefinition | undefined => {
  const choices = node["enum"]
  switch (node["type"]) {
    case "boolean":
      return { type: "boolean", ...labelsOf(node) }
    case "integer":
    case "number":
      return choices === undefined
        ? { type: node["type"], ...labelsOf(node), ...numbersOf(node, "minimum", "maximum") }
        : undefined
    case "string":
      return Array.isArray(choices)
        ? { type: "string", ...labelsOf(node), enum: choices.filter(Predicate.isString) }
        : { type: "string", ...labelsOf(node), ...numbersOf(node, "minLength", "maxLength") }
    default:
      return undefined
  }
}

const labelsOf = ({ description, title }: Node) => ({
  ...(typeof title === "string" ? { title } : {}),
  ...(typeof description === "string" ? { description } : {})
})

/** Leaves out the bounds of safe integers, which any number has. */
const numbersOf = (node: Node, ...names: ReadonlyArray<"minimum" | "maximum" | "minLength" | "maxLength">) =>
  Object.fromEntries(names.flatMap((name) => {
    const bound = node[name]
    return typeof bound === "number" && Math.abs(bound) !== Number.MAX_SAFE_INTEGER ? [[name, bound]] : []
  }))

const resolved = (root: Node, schema: unknown): Node => {
  if (!Predicate.isObject(schema)) return {}
  const node: Node = { ...schema }
  const target = JsonSchema.targetOf(node, root["$defs"])
  return target === undefined ? node : { ...target, ...labelsOf(node) }
}
