// Finds parts of a schema that JSON cannot carry; Fusion and JsonSchema refuse such schemas.
import { Predicate, SchemaAST } from "effect"

/**
 * The path of a part of a schema that JSON cannot carry, or undefined: such a part would be described as any value, and
 * no value would ever fit it.
 */
export const placeWithoutJson = (ast: SchemaAST.AST): string | undefined => {
  const seen = new Set<SchemaAST.AST>()
  const visit = (node: SchemaAST.AST, path: string): string | undefined => {
    if (seen.has(node)) return undefined
    seen.add(node)
    const encoded = node.encoding?.at(-1)?.to
    if (encoded !== undefined) return visit(encoded, path)
    const all = (parts: ReadonlyArray<readonly [SchemaAST.AST, string]>) => {
      for (const [part, at] of parts) {
        const found = visit(part, at)
        if (found !== undefined) return found
      }
      return undefined
    }
    switch (node._tag) {
      case "Declaration": {
        const codec = node.annotations?.["toCodecJson"] ?? node.annotations?.["toCodec"]
        if (!Predicate.isFunction(codec)) return path === "" ? "its root" : path
        return all(node.typeParameters.map((part) => [part, path]))
      }
      case "Objects":
        return all([
          ...node.propertySignatures.map(({ name, type }) => [type, `${path}.${String(name)}`] as const),
          ...node.indexSignatures.map(({ type }) => [type, `${path}.*`] as const)
        ])
      case "Arrays":
        return all([...node.elements, ...node.rest].map((part) => [part, `${path}[]`]))
      case "Union":
        return all(node.types.map((part) => [part, path]))
      case "Suspend":
        return visit(node.thunk(), path)
      default:
        return undefined
    }
  }
  return visit(ast, "")
}
