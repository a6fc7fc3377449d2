/**
 * JSON Schema 2020-12 documents derived from Effect Schemas.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
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
  const document = Schema.toJsonSchemaDocument(schema, { onExcessProperty: direction === "input" ? "error" : "ignore" })
  const root = inlineRoot(document.schema, document.definitions)
  const rest = referenced(root, document.definitions)
  return toJsonObject(Object.keys(rest).length === 0 ? root : { ...root, $defs: rest })
}

const inlineRoot = (schema: EffectJsonSchema.JsonSchema, definitions: EffectJsonSchema.Definitions) => {
  const name = typeof schema["$ref"] === "string" ? schema["$ref"].replace("#/$defs/", "") : undefined
  const target = name === undefined ? undefined : definitions[name]
  return target ?? schema
}

const referenced = (root: EffectJsonSchema.JsonSchema, definitions: EffectJsonSchema.Definitions) => {
  const found: Record<string, EffectJsonSchema.JsonSchema> = {}
  const visit = (value: unknown): void => {
    for (const [, name] of JSON.stringify(value).matchAll(/"\$ref":"#\/\$defs\/([^"]+)"/gu)) {
      const target = name === undefined ? undefined : definitions[name]
      if (name === undefined || target === undefined || name in found) continue
      found[name] = target
      visit(target)
    }
  }
  visit(root)
  return found
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
