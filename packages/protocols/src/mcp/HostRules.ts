/**
 * The rules on which known hosts and model APIs refuse a tool, and often every tool of the server with it. The server warns at its
 * start, and `fastagentic check` prints them.
 *
 * @since 0.1.0
 */
import type { Any } from "@fastagentic/core/app/App"
import { compile } from "@fastagentic/core/app/Fusion"
import { Effect, Predicate } from "effect"
import * as McpCatalog from "./McpCatalog.ts"
import { unescaped } from "./McpContent.ts"

/** A rule that a tool breaks. @category models @since 0.1.0 */
export interface Finding {
  readonly tool: string
  readonly problem: string
}

/** OpenAI's API takes no more of either. */
const [mostTools, longestDescription] = [128, 1_024]

/** Anthropic's API refuses the whole request for another name. */
const propertyName = /^[a-zA-Z0-9_.-]{1,64}$/u

const dialect = "https://json-schema.org/draft/2020-12/schema"

/** The findings about the tools of an app. @category combinators @since 0.1.0 */
export const check = (app: Any): Effect.Effect<ReadonlyArray<Finding>, Effect.Error<ReturnType<typeof compile>>> =>
  Effect.map(compile(app), (fusion) => inCatalog(McpCatalog.fromFusion(fusion)))

/** @internal */
export const inCatalog = ({ tools }: Pick<McpCatalog.Catalog, "tools">): ReadonlyArray<Finding> => {
  const findings = tools.flatMap(({ description, inputSchema, name }) =>
    [...problemsOf(description), ...problemsIn(inputSchema)].map((problem) => ({ tool: name, problem }))
  )
  const many = `there are ${tools.length} tools, and OpenAI takes ${mostTools} in one request`
  return tools.length > mostTools ? [{ tool: tools.at(mostTools)?.name ?? "", problem: many }, ...findings] : findings
}

const problemsOf = (description = ""): ReadonlyArray<string> =>
  description.length > longestDescription
    ? [`its description has ${description.length} characters, and OpenAI takes ${longestDescription}`]
    : []

const problemsIn = (schema: object): ReadonlyArray<string> => {
  const root: Record<string, unknown> = { ...schema }
  const found = new Set<string>()
  for (const keyword of ["anyOf", "oneOf", "allOf", "not", "enum"]) {
    if (keyword in root) found.add(`its parameters have ${keyword} at the top, which model APIs refuse`)
  }
  const named = root["$schema"]
  if (named !== undefined && named !== dialect) {
    found.add(`its parameters name the dialect ${JSON.stringify(named)}; hosts of today read 2020-12 only`)
  }
  visit(root, root, found)
  return [...found]
}

/** The keywords whose values are data, and those whose values hold a schema for each name. */
const data = new Set(["const", "default", "enum", "examples"])
const maps = new Set(["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"])

const visit = (json: Record<string, unknown>, root: Record<string, unknown>, found: Set<string>): void => {
  const ref = json["$ref"]
  if (ref !== undefined && !isKnown(root, ref)) {
    found.add(`${JSON.stringify(ref)} refers to no definition in its parameters`)
  }
  if (json["type"] === "array" && json["items"] === undefined && json["prefixItems"] === undefined) {
    found.add("one of its lists does not say what it holds (items), which OpenAI refuses")
  }
  for (const name of Object.keys(Predicate.isObject(json["properties"]) ? json["properties"] : {})) {
    if (!propertyName.test(name)) found.add(`Anthropic takes no field of the name ${JSON.stringify(name)}`)
  }
  for (const [keyword, value] of Object.entries(json)) {
    if (data.has(keyword)) continue
    const below = maps.has(keyword) && Predicate.isObject(value)
      ? Object.values(value)
      : Array.isArray(value)
      ? value
      : [value]
    for (const one of below) if (Predicate.isObject(one) && !Array.isArray(one)) visit({ ...one }, root, found)
  }
}

/** Whether a pointer leads to a schema of the document. */
const isKnown = (root: unknown, ref: unknown): boolean => {
  if (typeof ref !== "string" || !/^#(\/|$)/u.test(ref)) return false
  let at = root
  for (const part of ref.split("/").slice(1)) {
    const name = unescaped(part).replaceAll("~1", "/").replaceAll("~0", "~")
    if (!Predicate.hasProperty(at, name)) return false
    at = at[name]
  }
  return Predicate.isObject(at)
}
