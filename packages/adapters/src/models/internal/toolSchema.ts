// The JSON Schema of a tool's parameters as providers accept it: an object at the root, items in every array.
import { JsonSchema } from "@fastagentic/core"
import { Option, Schema } from "effect"
import { toCodecOpenAI } from "effect/ai/OpenAiStructuredOutput"
import * as Tool from "effect/ai/Tool"
import { type Fields, fieldsOf, isFields, listOf } from "./fields.ts"

/** Providers refuse an array whose entries have no schema, and `false` in its place. */
const withItems = (node: unknown): unknown => {
  if (Array.isArray(node)) return node.map(withItems)
  if (!isFields(node)) return node
  const mended: Fields = Object.fromEntries(Object.entries(node).map(([name, value]) => [name, withItems(value)]))
  const isArray = listOf(mended.type).includes("array")
  if (!isArray || isFields(mended.items)) return mended
  const places = listOf(mended.prefixItems)
  return { ...mended, items: places.length === 0 ? {} : { anyOf: places } }
}

/** A union of objects at the root becomes one object that has the fields of all. */
const merged = (branches: ReadonlyArray<Fields>, rest: Fields): Fields => {
  const properties: Record<string, unknown> = {}
  for (const branch of branches) {
    for (const [name, property] of Object.entries(fieldsOf(branch.properties))) {
      const known = properties[name]
      const isSame = known === undefined || JSON.stringify(known) === JSON.stringify(property)
      properties[name] = isSame ? property : { anyOf: [...listOf(fieldsOf(known).anyOf ?? known), property] }
    }
  }
  const required = branches.map((branch) => listOf(branch.required))
  const always = (required[0] ?? []).filter((name) => required.every((names) => names.includes(name)))
  return { ...rest, type: "object", properties, required: always }
}

const rooted = (schema: Fields): Fields => {
  if (schema.type === "object" && isFields(schema.properties)) return schema
  if (schema.type === "object" && isFields(schema.additionalProperties)) return { ...schema, properties: {} }
  const { anyOf, oneOf, ...rest } = schema
  const branches = listOf(anyOf ?? oneOf).map((branch) => resolved(fieldsOf(branch), schema))
  return branches.length > 0 && branches.every(({ type }) => type === "object")
    ? merged(branches, rest)
    : { type: "object", properties: {} }
}

const resolved = (branch: Fields, root: Fields): Fields =>
  typeof branch.$ref === "string" ? fieldsOf(JsonSchema.targetOf(branch, root.$defs)) : branch

const sourceOf = (tool: Tool.Any): Fields =>
  Tool.isDynamic(tool) && tool.jsonSchema !== undefined
    ? tool.jsonSchema
    : JsonSchema.fromSchema(tool.parametersSchema, "input")

/** The parameters of a tool, and how arguments that fit them become those that the tool takes. */
export interface ToolSchema {
  readonly json: Fields
  readonly strict: boolean | undefined
  readonly read: (params: unknown) => unknown
}

const same = (params: unknown): unknown => params

/** Optional fields of strict mode are sent as nullable ones, and their `null` is taken out again. */
const strict = (tool: Tool.Any): ToolSchema => {
  // cast: parameters of tools need no services; effect/ai's toolkit says so at their handlers.
  const schema = tool.parametersSchema as Schema.Codec<unknown, unknown>
  const { codec, jsonSchema } = toCodecOpenAI(schema)
  const decode = Schema.decodeUnknownOption(codec)
  const encode = Schema.encodeUnknownOption(schema)
  return {
    json: jsonSchema,
    strict: true,
    read: (params) => Option.getOrElse(Option.flatMap(decode(params), encode), () => params)
  }
}

const build = (tool: Tool.Any): ToolSchema => {
  const mode = Tool.getStrictMode(tool)
  if (mode === true && !Tool.isDynamic(tool)) return strict(tool)
  return { json: rooted(fieldsOf(withItems(sourceOf(tool)))), strict: mode, read: same }
}

const schemas = new WeakMap<Tool.Any, ToolSchema>()

/** Throws for a tool whose parameters have no form that a provider accepts. */
export const schemaOf = (tool: Tool.Any): ToolSchema => {
  const known = schemas.get(tool) ?? build(tool)
  schemas.set(tool, known)
  return known
}
