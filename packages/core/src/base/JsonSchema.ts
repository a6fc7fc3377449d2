/**
 * JSON Schema 2020-12 documents derived from Effect Schemas.
 *
 * @since 0.1.0
 */
import { Predicate, Schema } from "effect"
import * as JsonPointer from "effect/JsonPointer"
import * as EffectJsonSchema from "effect/JsonSchema"
import * as Representation from "effect/SchemaRepresentation"

const JsonObject = Schema.Record(Schema.String, Schema.Json)
const toJsonObject = Schema.decodeUnknownSync(JsonObject)

/**
 * A self-contained JSON Schema of what a schema looks like on the wire: the root is inlined, the rest is in `$defs`.
 *
 * Inputs are closed: an undeclared field is an error. Outputs are open, so that fields can be added.
 * Throws for a schema that has no JSON form.
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromSchema = (
  schema: Schema.Constraint,
  direction: "input" | "output" = "output"
): { readonly [key: string]: Schema.Json } => {
  const document = Schema.toJsonSchemaDocument(schema, {
    onExcessProperty: direction === "input" ? "error" : "ignore",
    includeAnnotationKey
  })
  const root = inlineRoot(document.schema, document.definitions)
  const rest = referenced(root, document.definitions)
  return toJsonObject(raised(Object.keys(rest).length === 0 ? root : { ...root, $defs: rest }))
}

/** Hosts read keywords of extensions beside the type; of a schema with checks they come in a schema of `allOf`. */
const raised = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(raised)
  if (!Predicate.isObject(value)) return value
  const { allOf, ...node } = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, raised(one)]))
  if (!Array.isArray(allOf)) return allOf === undefined ? node : { ...node, allOf }
  const kept = allOf.filter((one: unknown) => {
    if (!Predicate.isObject(one) || !Object.keys(one).some(includeAnnotationKey)) return true
    if (Object.keys(one).some((key) => key in node)) return true
    Object.assign(node, one)
    return false
  })
  return kept.length === 0 ? node : { ...node, allOf: kept }
}

/** Keywords of extensions are annotations of the same name; hosts read titles of choices as `enumNames`. */
const includeAnnotationKey = (key: string) => key.startsWith("x-") || key === "enumNames"

/**
 * The name in `$defs` to which a reference points, after RFC 6901: pointers escape what names may contain.
 *
 * @category accessors
 * @since 0.1.0
 */
export const definitionOf = (reference: unknown): string | undefined => {
  const path = typeof reference === "string" ? JsonPointer.parseUriFragment(reference) : undefined
  return path?.length === 2 && path[0] === "$defs" ? path[1] : undefined
}

/**
 * The definition that a schema refers to; nothing for a schema that is no reference.
 *
 * @category accessors
 * @since 0.1.0
 */
export const targetOf = (schema: unknown, definitions: unknown): object | undefined => {
  const name = Predicate.hasProperty(schema, "$ref") ? definitionOf(schema["$ref"]) : undefined
  // A name such as `toString` is on every object.
  if (name === undefined || !Predicate.isObject(definitions) || !Object.hasOwn(definitions, name)) return undefined
  const target = new Map<string, unknown>(Object.entries(definitions)).get(name)
  return Predicate.isObject(target) ? target : undefined
}

const inlineRoot = (schema: EffectJsonSchema.JsonSchema, definitions: EffectJsonSchema.Definitions) => {
  const name = definitionOf(schema["$ref"])
  return name !== undefined && Object.hasOwn(definitions, name) ? definitions[name] ?? schema : schema
}

const referenced = (root: EffectJsonSchema.JsonSchema, definitions: EffectJsonSchema.Definitions) => {
  const found = new Map<string, EffectJsonSchema.JsonSchema>()
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) { for (const one of value) visit(one) }
    if (!Predicate.isObject(value)) return
    for (const [key, one] of Object.entries(value)) {
      const name = key === "$ref" ? definitionOf(one) : undefined
      if (name === undefined) visit(one)
      else if (!found.has(name) && Object.hasOwn(definitions, name)) {
        const target = definitions[name] ?? {}
        found.set(name, target)
        visit(target)
      }
    }
  }
  visit(root)
  return Object.fromEntries(found)
}

/**
 * A schema that checks what a JSON Schema document says; patterns are left out, they may come from anywhere.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toSchema = (document: unknown): Schema.ConstraintCodec<unknown, unknown> =>
  Schema.make(
    Representation.fromJsonSchemaDocument(
      EffectJsonSchema.fromSchemaDraft2020_12(toJsonObject(document)),
      { patterns: "ignore" }
    ).ast
  )
