// Cleans the generated OpenAPI document; Document calls it as the last step.
import type { Scheme } from "@fastagentic/core/door/Auth"
import type * as OpenApi from "effect/http-api/OpenApi"

type Document = OpenApi.OpenAPISpec
/** The generator's own type for its result. */
type Generated = Readonly<Record<string, unknown>>
type Schemas = Document["components"]["schemas"]

const securitySchemes = {
  bearer: { type: "http", scheme: "bearer" },
  apiKey: { type: "apiKey", in: "header", name: "x-api-key" },
  mutualTls: { type: "mutualTLS" }
} as const

/** Paths that need no credentials. */
const open = new Set(["/health", "/ready"])

/**
 * Removes the generator's own keys and duplicate components, and adds the security schemes to the operations that need
 * credentials.
 */
export const openApiCleanup = (schemes: ReadonlyArray<Scheme>) => (document: Generated): Document => {
  let cleaned = withoutVendorKeys(document)
  for (let next = merged(cleaned); next !== undefined; next = merged(cleaned)) cleaned = next
  return secured(pruned(cleaned), schemes)
}

const copied = (
  document: Document | Generated,
  edit: (key: string, value: unknown) => unknown = (_, value) => value
): Document => JSON.parse(JSON.stringify(document, edit))

const withoutVendorKeys = (document: Generated) =>
  copied(document, (key, value) => key.startsWith("x-effect-") ? undefined : value)

const refTo = (name: string) => `#/components/schemas/${name}`

/** The generator writes a schema with several statuses as `Problem`, `Problem_1`, …; equal ones are merged. */
const merged = (document: Document): Document | undefined => {
  const { schemas } = document.components
  const kept = new Map<string, string>()
  const renamed = new Map<string, string>()
  for (const name of Object.keys(schemas).sort((a, b) => a.length - b.length || (a < b ? -1 : 1))) {
    const content = `${name.replace(/_\d+$/u, "")} ${JSON.stringify(schemas[name])}`
    const first = kept.get(content)
    if (first === undefined) kept.set(content, name)
    else renamed.set(refTo(name), refTo(first))
  }
  if (renamed.size === 0) return undefined
  const left = copied(document, (key, value) => key === "$ref" ? renamed.get(String(value)) ?? value : value)
  return withSchemas(left, (name) => !renamed.has(refTo(name)))
}

/** Removes components that no path refers to. */
const pruned = (document: Document): Document => {
  const used = new Set<string>()
  const visit = (value: unknown) => {
    for (const [, name = ""] of JSON.stringify(value).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/gu)) {
      if (used.has(name)) continue
      used.add(name)
      visit(document.components.schemas[name] ?? {})
    }
  }
  visit(document.paths)
  return withSchemas(document, (name) => used.has(name))
}

const withSchemas = (document: Document, keep: (name: string) => boolean): Document => {
  const schemas: Schemas = Object.fromEntries(
    Object.entries(document.components.schemas).filter(([name]) => keep(name)).sort(([a], [b]) => a < b ? -1 : 1)
  )
  return { ...document, components: { ...document.components, schemas } }
}

const secured = (document: Document, schemes: ReadonlyArray<Scheme>): Document => {
  const security = schemes.map((scheme) => ({ [scheme]: [] }))
  const left = copied(document, (key, value) => key === "security" ? undefined : value)
  for (const [path, operations] of Object.entries(left.paths)) {
    if (!open.has(path) || schemes.length === 0) continue
    for (const operation of Object.values(operations)) Object.assign(operation, { security: [] })
  }
  // The generator's type does not know mutual TLS.
  return copied({
    ...left,
    security,
    components: {
      ...left.components,
      securitySchemes: Object.fromEntries(schemes.map((scheme) => [scheme, securitySchemes[scheme]]))
    }
  })
}
