// A JSON Schema as the form that elicitation can show: a flat object of strings, numbers, booleans and choices.
import type * as Sdk from "@modelcontextprotocol/server"
import { Predicate, type Schema } from "effect"

export type Fields = Record<string, Sdk.PrimitiveSchemaDefinition>

/** A form, and the value that what was filled in stands for. */
export interface Form {
  readonly fields: Fields
  readonly required: Array<string>
  readonly valueOf: (content: Content) => Schema.Json
}

/** What a client sends back. */
export type Content = { readonly [field: string]: Schema.Json }

type Node = { readonly [key: string]: unknown }

/** Nothing when a form cannot ask for it; one value that is no object is asked for as `value`. */
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
    required: wanted.filter((name) => !(name in nulls)),
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
    const field = fieldOf(root, { ...some[0], ...about(node) })
    return field && { ...field, nullable: true }
  }
  const definition = definitionOf(node)
  return definition && { definition, nullable: false }
}

/** Only what every revision has words for: what else has to hold is checked when the answer comes. */
const definitionOf = (node: Node): Sdk.PrimitiveSchemaDefinition | undefined => {
  const choices = node["enum"]
  switch (node["type"]) {
    case "boolean":
      return { type: "boolean", ...about(node) }
    case "integer":
    case "number":
      return choices === undefined
        ? { type: node["type"], ...about(node), ...numbersOf(node, "minimum", "maximum") }
        : undefined
    case "string":
      return Array.isArray(choices)
        ? { type: "string", ...about(node), enum: choices.filter(Predicate.isString) }
        : { type: "string", ...about(node), ...numbersOf(node, "minLength", "maxLength") }
    default:
      return undefined
  }
}

const about = ({ description, title }: Node) => ({
  ...(typeof title === "string" ? { title } : {}),
  ...(typeof description === "string" ? { description } : {})
})

/** Bounds that say no more than that a number is one are not worth showing. */
const numbersOf = (node: Node, ...names: ReadonlyArray<"minimum" | "maximum" | "minLength" | "maxLength">) =>
  Object.fromEntries(names.flatMap((name) => {
    const bound = node[name]
    return typeof bound === "number" && Math.abs(bound) !== Number.MAX_SAFE_INTEGER ? [[name, bound]] : []
  }))

const resolved = (root: Node, schema: unknown): Node => {
  if (!Predicate.isObject(schema)) return {}
  const node: Node = { ...schema }
  const name = typeof node["$ref"] === "string" ? node["$ref"].replace("#/$defs/", "") : undefined
  return name === undefined ? node : { ...Object(Object(root["$defs"])[name]), ...about(node) }
}
