// JSON Schemas in the form that MCP hosts accept: many resolve no reference, or only one with a plain name. References are
// replaced by what they name; a recursive definition stays, under a name without characters that need escaping.
import type { Document } from "@fastagentic/core/app/Fusion"
import * as JsonSchema from "@fastagentic/core/base/JsonSchema"
import type { Schema } from "effect"

type Definitions = ReadonlyMap<string, Document>

/** The most schemas in a document without references; a larger one keeps them, because copies of copies grow without end. */
const sizeLimit = 10_000

/** Catalogs are compiled for each set of scopes; a document is rewritten once. */
const known = new WeakMap<Document, Document>()

/** The schema with references to recursive definitions only; a document that names its dialect is its author's, and stays. */
export const forHosts = (json: Document): Document => {
  if (json["$defs"] === undefined || json["$schema"] !== undefined) return json
  const rewritten = known.get(json) ?? rewrite(json)
  known.set(json, rewritten)
  return rewritten
}

const rewrite = ({ $defs, ...root }: Document): Document => {
  const definitions: Definitions = new Map(
    isDocument($defs)
      ? Object.entries($defs).flatMap(([name, json]) => isDocument(json) ? [[name, json] as const] : [])
      : []
  )
  const recursive = [...definitions.keys()].filter((name) => reached(definitions.get(name), definitions).has(name))
  return inlined(root, definitions, recursive) ?? inlined(root, definitions, [...definitions.keys()]) ?? root
}

/** The names of the definitions that a schema refers to, through others as well. */
const reached = (from: Document | undefined, definitions: Definitions): ReadonlySet<string> => {
  const names = new Set<string>()
  const visit = (json: Document): Document => {
    const name = JsonSchema.definitionOf(json["$ref"])
    if (name !== undefined && !names.has(name)) {
      names.add(name)
      visit(definitions.get(name) ?? {})
    }
    return mapped(json, visit)
  }
  visit(from ?? {})
  return names
}

/** The schema with the kept definitions under plain names; nothing when it is too large without the others. */
const inlined = (root: Document, definitions: Definitions, kept: ReadonlyArray<string>): Document | undefined => {
  const names = plainNames(kept)
  let left = kept.length === definitions.size ? Infinity : sizeLimit
  const visit = (json: Document): Document => {
    if (--left < 0) return json
    const { $ref, ...rest } = json
    const name = JsonSchema.definitionOf($ref)
    const target = name === undefined ? undefined : definitions.get(name)
    if (name === undefined || target === undefined) return mapped(json, visit)
    const plain = names.get(name)
    if (plain !== undefined) return { $ref: `#/$defs/${plain}`, ...mapped(rest, visit) }
    const copy = visit(target)
    return Object.keys(rest).every((key) => isAnnotation(key) || copy[key] === undefined)
      ? { ...copy, ...mapped(rest, visit) }
      : { allOf: [copy], ...mapped(rest, visit) }
  }
  const whole = visit(root)
  const used = Array.from(names, ([name, plain]) => [plain, mapped(definitions.get(name) ?? {}, visit)] as const)
  if (left < 0) return undefined
  return used.length === 0 ? whole : { ...whole, $defs: Object.fromEntries(used) }
}

/** A name of letters, digits, `_` and `-` for each name; equal ones are numbered. */
const plainNames = (names: ReadonlyArray<string>): ReadonlyMap<string, string> => {
  const plain = new Map<string, string>()
  const taken = new Set<string>()
  for (const name of names) {
    const stem = name.replaceAll(/[^A-Za-z0-9_-]/gu, "_").slice(0, 48)
    let free = stem
    for (let count = 2; taken.has(free) || free === "" || free === "__proto__"; count++) free = `${stem}_${count}`
    taken.add(free)
    plain.set(name, free)
  }
  return plain
}

/** The keywords whose values are data, not schemas. */
const isData = (keyword: string) => ["const", "default", "enum", "examples"].includes(keyword)
const isAnnotation = (keyword: string) => ["title", "description", "default", "examples"].includes(keyword)
/** The keywords whose values hold a schema for each name. */
const isNamed = (keyword: string) => ["properties", "patternProperties", "dependentSchemas", "$defs"].includes(keyword)

/** A schema with each schema directly in it changed. */
const mapped = (json: Document, change: (json: Document) => Document): Document => {
  const changed = (value: Schema.Json): Schema.Json => isDocument(value) ? change(value) : value
  return Object.fromEntries(
    Object.entries(json).map(([keyword, value]) => {
      if (isData(keyword)) return [keyword, value]
      if (Array.isArray(value)) return [keyword, value.map(changed)]
      if (!isDocument(value)) return [keyword, value]
      return [
        keyword,
        isNamed(keyword)
          ? Object.fromEntries(Object.entries(value).map(([name, one]) => [name, changed(one)]))
          : change(value)
      ]
    })
  )
}

const isDocument = (value: Schema.Json | undefined): value is Document =>
  typeof value === "object" && value !== null && !Array.isArray(value)
