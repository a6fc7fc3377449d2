// Resources and prompts as entries of the table: parameters that their URIs and their protocol can carry. Fusion calls it once for
// each declaration at start.
import { Effect, type Schema, SchemaAST } from "effect"
import type { PromptEntry, ResourceEntry } from "../Fusion.ts"
import type * as PromptTemplate from "../PromptTemplate.ts"
import * as Resource from "../Resource.ts"
import { declaredErrors, objectShape, shape } from "./compileShape.ts"
import { checkIcons, FusionError } from "./fusionError.ts"

export const compileResource = Effect.fnUntraced(function*(resource: Resource.Any, name: string) {
  yield* checkIcons(name, resource.presentation)
  const params = yield* objectShape(name, "params", resource.paramsSchema)
  const wanted = Object.keys(resource.paramsSchema.fields)
  const named = Resource.paramNames(resource.uriTemplate)
  const literal = resource.uriTemplate.replaceAll(/\{[^{}]+\}/gu, "x")
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^{}\s?#]+$/u.test(literal) || !segmentsAreWhole(resource.uriTemplate)) {
    return yield* new FusionError({
      declaration: name,
      problem: `"${resource.uriTemplate}" is not scheme:// and segments that are each literal or one {param}`
    })
  }
  if (new Set(named).size !== named.length || [...named].sort().join() !== [...wanted].sort().join()) {
    return yield* new FusionError({
      declaration: name,
      problem: `its URI names {${named.join("}, {")}} but its params are ${wanted.join(", ") || "none"}`
    })
  }
  return {
    resource,
    params,
    success: yield* shape(name, "success", resource.successSchema),
    error: yield* shape(name, "error", resource.errorSchema),
    errors: yield* declaredErrors(name, resource.errorSchema)
  } satisfies ResourceEntry
})

const segmentsAreWhole = (uriTemplate: string) =>
  uriTemplate.split("/").every((segment) => !/[{}]/u.test(segment) || /^\{[A-Za-z_][A-Za-z0-9_]*\}$/u.test(segment))

export const compilePrompt = Effect.fnUntraced(function*(prompt: PromptTemplate.Any, name: string) {
  yield* checkIcons(name, prompt.presentation)
  const params = yield* objectShape(name, "params", prompt.paramsSchema)
  for (const [field, schema] of Object.entries(prompt.paramsSchema.fields)) {
    if (!encodesToText(schema)) {
      return yield* new FusionError({
        declaration: name,
        problem: `param "${field}" is not text, and an MCP prompt argument is always text`
      })
    }
  }
  return { prompt, params } satisfies PromptEntry
})

const encodesToText = (schema: Schema.Constraint) => {
  const ast = SchemaAST.toEncoded(schema.ast)
  const members = SchemaAST.isUnion(ast) ? ast.types : [ast]
  return members.every((member) =>
    SchemaAST.isString(member) || SchemaAST.isTemplateLiteral(member) ||
    (SchemaAST.isLiteral(member) && typeof member.literal === "string")
  )
}
