// A JSON Schema as a form of elicitation: a flat object of strings, numbers, booleans and choices, with their defaults.
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

/** Titles of choices, and choices of several, are known since this revision. */
const choicesSince = "2025-11-25"

/** The schema of the form, and the revision of the client. */
interface Root {
  readonly schema: Node
  readonly revision: string
}

/** Nothing when a form cannot hold the value; a value that is not an object has the field `value`. */
export const fromJsonSchema = (json: unknown, revision: string): Form | undefined => {
  if (!Predicate.isObject(json)) return undefined
  const schema: Node = { ...json }
  const root = { schema, revision }
  if (schema["type"] === "object") return ofObject(root)
  const field = fieldOf(root, schema)
  return field === undefined ? undefined : {
    fields: { value: field.definition },
    required: field.nullable ? [] : ["value"],
    valueOf: ({ value = null }) => value
  }
}

const ofObject = (root: Root): Form | undefined => {
  const properties = Object.entries({ ...Object(root.schema["properties"]) })
  const wanted = listOf(root.schema["required"]).filter(Predicate.isString)
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
    // Fields that the form does not have are ignored, as the protocol asks for.
    valueOf: (content) => ({
      ...nulls,
      ...Object.fromEntries(Object.entries(content).filter(([name]) => Object.hasOwn(fields, name)))
    })
  }
}

interface Field {
  readonly definition: Sdk.PrimitiveSchemaDefinition
  readonly nullable: boolean
}

const fieldOf = (root: Root, schema: unknown): Field | undefined => {
  const node = resolved(root, schema)
  const options = listOf(node["anyOf"]).map((one) => resolved(root, one))
  const some = options.filter((option) => option["type"] !== "null")
  if (some.length < options.length) {
    const inner = some.length === 1 ? { ...some[0] } : { anyOf: some }
    const field = fieldOf(root, { ...inner, ...labelsOf(node) })
    return field && { ...field, nullable: true }
  }
  const definition = definitionOf(root, node)
  return definition && { definition, nullable: false }
}

/** The answer is checked against the whole schema later. */
const definitionOf = (root: Root, node: Node): Sdk.PrimitiveSchemaDefinition | undefined => {
  const choices = choicesOf(root, node)
  if (choices !== undefined) return choiceOf(root, node, choices)
  switch (node["type"]) {
    case "boolean":
      return { type: "boolean", ...labelsOf(node), ...defaultOf(node, Predicate.isBoolean) }
    case "integer":
    case "number":
      return node["enum"] === undefined
        ? {
          type: node["type"],
          ...labelsOf(node),
          ...numbersOf(node, "minimum", "maximum"),
          ...defaultOf(node, Predicate.isNumber)
        }
        : undefined
    case "string":
      return {
        type: "string",
        ...labelsOf(node),
        ...numbersOf(node, "minLength", "maxLength"),
        ...formatOf(node),
        ...defaultOf(node, Predicate.isString)
      }
    case "array":
      return root.revision < choicesSince ? undefined : severalOf(root, node)
    default:
      return undefined
  }
}

interface Choice {
  readonly value: string
  readonly title?: string
}

/** The choices of a string: an enumeration, or a union of single values that have titles. */
const choicesOf = (root: Root, node: Node): ReadonlyArray<Choice> | undefined => {
  const titles = listOf(node["enumNames"])
  if (Array.isArray(node["enum"]) && node["type"] === "string") {
    return node["enum"].filter(Predicate.isString).map((value, index) => choice(value, titles[index]))
  }
  const members = [...listOf(node["anyOf"]), ...listOf(node["oneOf"])].map((one) => resolved(root, one))
  const choices = members.flatMap((member) => {
    const values = "const" in member ? [member["const"]] : listOf(member["enum"])
    return values.map((value) => Predicate.isString(value) ? choice(value, member["title"]) : undefined)
  })
  const known = choices.filter((one) => one !== undefined)
  return known.length > 0 && known.length === choices.length ? known : undefined
}

const choice = (value: string, title: unknown): Choice => Predicate.isString(title) ? { value, title } : { value }

/** Titles that a schema gives as `enumNames` stay so, for hosts that know only these. */
const choiceOf = ({ revision }: Root, node: Node, choices: ReadonlyArray<Choice>): Sdk.PrimitiveSchemaDefinition => {
  const shared = { type: "string" as const, ...labelsOf(node), ...defaultOf(node, Predicate.isString) }
  const values = choices.map(({ value }) => value)
  if (choices.every(({ title }) => title === undefined)) return { ...shared, enum: values }
  return node["enumNames"] === undefined && revision >= choicesSince
    ? { ...shared, oneOf: titled(choices) }
    : { ...shared, enum: values, enumNames: choices.map(({ title, value }) => title ?? value) }
}

const titled = (choices: ReadonlyArray<Choice>) =>
  choices.map(({ title, value }) => ({ const: value, title: title ?? value }))

const severalOf = (root: Root, node: Node): Sdk.PrimitiveSchemaDefinition | undefined => {
  const items = resolved(root, node["items"])
  const choices = choicesOf(root, items)
  if (choices === undefined) return undefined
  const shared = {
    type: "array" as const,
    ...labelsOf(node),
    ...numbersOf(node, "minItems", "maxItems"),
    ...defaultOf(node, (value): value is Array<string> => Array.isArray(value) && value.every(Predicate.isString))
  }
  return choices.every(({ title }) => title === undefined)
    ? { ...shared, items: { type: "string", enum: choices.map(({ value }) => value) } }
    : { ...shared, items: { anyOf: titled(choices) } }
}

const listOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

const labelsOf = ({ description, title }: Node) => ({
  ...(typeof title === "string" ? { title } : {}),
  ...(typeof description === "string" ? { description } : {})
})

const defaultOf = <A>({ default: value }: Node, is: (value: unknown) => value is A) =>
  is(value) ? { default: value } : {}

const isFormat = (format: unknown): format is "email" | "uri" | "date" | "date-time" =>
  format === "email" || format === "uri" || format === "date" || format === "date-time"

const formatOf = ({ format }: Node) => isFormat(format) ? { format } : {}

/** Leaves out the bounds of safe integers, which any number has. */
const numbersOf = (
  node: Node,
  ...names: ReadonlyArray<"minimum" | "maximum" | "minLength" | "maxLength" | "minItems" | "maxItems">
) =>
  Object.fromEntries(names.flatMap((name) => {
    const bound = node[name]
    return typeof bound === "number" && Math.abs(bound) !== Number.MAX_SAFE_INTEGER ? [[name, bound]] : []
  }))

const resolved = ({ schema: root }: Root, schema: unknown): Node => {
  if (!Predicate.isObject(schema)) return {}
  const node: Node = { ...schema }
  const target = JsonSchema.targetOf(node, root["$defs"])
  return target === undefined ? node : { ...target, ...labelsOf(node) }
}
