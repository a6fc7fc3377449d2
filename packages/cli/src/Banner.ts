/**
 * The lines that a server prints once it is ready; each can be used as printed.
 *
 * @since 0.1.0
 */
import type { Callable, Fusion } from "@fastagentic/core/app/Fusion"
import type { Json } from "effect/Schema"

/** @category models @since 0.1.0 */
export interface Options {
  readonly url: string
  readonly store: string
  /** Whether callers need no credentials; else the lines show the token of the variable `FASTAGENTIC_TOKEN`. */
  readonly open: boolean
}

/** @category conversions @since 0.1.0 */
export const render = (fusion: Fusion, { open, store, url }: Options): string => {
  const agent = fusion.agents.values().next().value
  const headers = open ? {} : { headers: { Authorization: "Bearer ${FASTAGENTIC_TOKEN}" } }
  const mcp = { mcpServers: { [fusion.app.identifier]: { type: "http", url: `${url}/mcp`, ...headers } } }
  return [
    `${fusion.app.title} ${fusion.app.version} answers on ${url}`,
    "",
    `  Docs      ${url}/docs`,
    ...(agent === undefined ? [] : [`  Try       ${curl(agent, url, open)}`]),
    `  MCP       ${JSON.stringify(mcp)}`,
    `  A2A card  ${url}/.well-known/agent-card.json`,
    `  Store     ${store}`,
    ""
  ].join("\n")
}

const curl = (agent: Callable, url: string, open: boolean) => {
  const authorization = open ? "" : " -H \"authorization: Bearer $FASTAGENTIC_TOKEN\""
  const body = shellQuote(JSON.stringify(sample(agent)))
  return `curl -sN ${url}/agents/${agent.identifier}/stream -H 'content-type: application/json'${authorization} -d ${body}`
}

/** A valid payload: the agent's first example in its text field, and the smallest value of every other required field. */
const sample = ({ examples, payload }: Callable): Json => {
  const properties = payload.json["properties"]
  const required = payload.json["required"]
  if (typeof properties !== "object" || properties === null || !Array.isArray(required)) return {}
  return Object.fromEntries(
    required.map((name) => [String(name), leastOf(Reflect.get(properties, String(name)), examples[0])])
  )
}

const leastOf = (schema: unknown, example: string | undefined): Json => {
  if (typeof schema !== "object" || schema === null) return "hello"
  if ("enum" in schema && Array.isArray(schema.enum)) return schema.enum[0]
  switch ("type" in schema ? schema.type : undefined) {
    case "integer":
    case "number":
      return "minimum" in schema && typeof schema.minimum === "number" ? Math.max(schema.minimum, 1) : 1
    case "boolean":
      return true
    case "array":
      return []
    case "object":
      return {}
    default:
      return example ?? "hello"
  }
}

const shellQuote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
