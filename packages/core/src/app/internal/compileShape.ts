// The schemas of a declaration in both forms, and its declared errors. The compilers of callables, resources and prompts use it.
import { Effect, Schema, SchemaAST } from "effect"
import { placeWithoutJson } from "../../base/internal/jsonSupport.ts"
import * as JsonSchema from "../../base/JsonSchema.ts"
import * as Validation from "../../base/Validation.ts"
import { answersContent, filePlaces } from "../../run/internal/filePlaces.ts"
import type { DeclaredError, Shape } from "../Fusion.ts"
import { FusionError } from "./fusionError.ts"

/** An input with a field that was not declared is refused; of an output, such a field is left out. */
export const shape = (
  declaration: string,
  part: string,
  schema: Schema.Constraint,
  direction: "input" | "output" = "output"
): Effect.Effect<Shape, FusionError> =>
  Effect.try({
    try: () => {
      // Declarations only take schemas without services; effect/ai's tools say so at their handlers.
      const pure = Schema.make<Schema.Codec<unknown>>(schema.ast)
      const place = placeWithoutJson(schema.ast)
      if (place !== undefined) throw new Error(`nothing says how ${place} travels`)
      const codec = Schema.toCodecJson(pure)
      return {
        schema: pure,
        json: JsonSchema.fromSchema(pure, direction),
        files: filePlaces(pure.ast),
        hasContent: answersContent(pure.ast),
        decode: Validation.decoder(codec, direction === "input" ? "error" : "ignore"),
        encode: Schema.encodeUnknownEffect(codec)
      }
    },
    catch: (cause) =>
      new FusionError({
        declaration,
        problem: `its ${part} has no JSON form: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })

export const objectShape = Effect.fnUntraced(function*(declaration: string, part: string, schema: Schema.Constraint) {
  const compiled = yield* shape(declaration, part, hasNoFields(schema) ? NoFields : schema, "input")
  const { json } = compiled
  if (json["anyOf"] !== undefined || json["oneOf"] !== undefined || json["allOf"] !== undefined) {
    return yield* new FusionError({
      declaration,
      problem: `its ${part} is a union; MCP and most models need one object with named fields`
    })
  }
  if (json["type"] !== undefined && json["type"] !== "object") {
    return yield* new FusionError({ declaration, problem: `its ${part} is not an object` })
  }
  return { ...compiled, json: { ...json, type: "object", properties: json["properties"] ?? {} } }
})

/** The parameters of a dynamic tool: its own document describes them, word for word, and checks what it can. */
export const documentShape = Effect.fnUntraced(function*(declaration: string, json: unknown) {
  const document = yield* Effect.mapError(
    decodeDocument(json),
    () => new FusionError({ declaration, problem: "its parameters are no JSON Schema of an object" })
  )
  const schema = yield* Effect.orElseSucceed(Effect.try(() => JsonSchema.toSchema(document)), () => AnyObject)
  return { ...(yield* shape(declaration, "parameters", schema, "input")), json: document }
})

const AnyObject = Schema.Record(Schema.String, Schema.Json)
const decodeDocument = Schema.decodeUnknownEffect(
  Schema.StructWithRest(Schema.Struct({ type: Schema.Literal("object") }), [AnyObject])
)

/** A struct without fields takes anything but null; what is meant is an object without fields. */
const NoFields = Schema.Record(Schema.String, Schema.Never)

const hasNoFields = ({ ast }: Schema.Constraint) =>
  SchemaAST.isObjects(ast) && ast.propertySignatures.length === 0 && ast.indexSignatures.length === 0

export const declaredErrors = Effect.fnUntraced(function*(declaration: string, schema: Schema.Constraint) {
  if (SchemaAST.isNever(schema.ast)) return []
  const errors: Array<DeclaredError> = []
  for (const member of SchemaAST.isUnion(schema.ast) ? schema.ast.types : [schema.ast]) {
    const status = Schema.resolveAnnotations(Schema.make(member))?.["httpApiStatus"]
    const tag = tagOf(member)
    if (errors.some((error) => error.tag === tag)) {
      return yield* new FusionError({ declaration, problem: `two of its errors are called "${tag}"` })
    }
    errors.push({ tag, status: typeof status === "number" ? status : 422 })
  }
  return errors
})

const tagOf = (ast: SchemaAST.AST): string => {
  const encoded = SchemaAST.toEncoded(ast)
  if (!SchemaAST.isObjects(encoded)) return "Error"
  const tag = encoded.propertySignatures.find((property) => property.name === "_tag")?.type
  return tag !== undefined && SchemaAST.isLiteral(tag) ? String(tag.literal) : "Error"
}
