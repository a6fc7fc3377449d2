// The fields of events that guards see: all that hold text and are not marked as structural. Event exports the table.
import type { SchemaAST } from "effect"
import { schemas, structuralKey } from "./eventSchemas.ts"

const hasText = (ast: SchemaAST.AST): boolean => {
  if (ast.annotations?.[structuralKey] === true) return false
  switch (ast._tag) {
    case "Boolean":
    case "Number":
    case "Literal":
    case "Null":
    case "Undefined":
    case "Never":
      return false
    case "Union":
      return ast.types.some(hasText)
    case "Objects":
      return ast.indexSignatures.length > 0 || ast.propertySignatures.some(({ type }) => hasText(type))
    case "Arrays":
      return [...ast.elements, ...ast.rest].some(hasText)
    default:
      return true
  }
}

export const textFields: ReadonlyMap<string, ReadonlyArray<string>> = new Map(
  Object.entries(schemas).map(([type, { fields }]) => [
    type,
    Object.entries(fields).filter(([, field]) => hasText(field.ast)).map(([name]) => name)
  ])
)
