/**
 * What a server says once it answers: lines that work as printed.
 *
 * @since 0.1.0
 */
import type { Callable, Fusion } from "@fastagentic/core/Fusion"
import type { Json } from "effect/Schema"

/** @category conversions @since 0.1.0 */
export const render = (fusion: Fusion, url: string, store: string): string => {
  const agent = fusion.agents.values().next().value
  const mcp = { mcpServers: { [fusion.app.identifier]: { type: "http", url: `${url}/mcp` } } }
  return [
    `${fusion.app.title} ${fusion.app.version} answers on ${url}`,
    "",
    `  Docs      ${url}/docs`,
    ...(agent === undefined ? [] : [`  Try       ${curl(agent, url)}`]),
    `  MCP       ${JSON.stringify(mcp)}`,
    `  A2A card  ${url}/.well-known/agent-card.json`,
    `  Store     ${store}`,
    ""
  ].join("\n")
}

const curl = (agent: Callable, url: string) => {
  const body = shellQuote(JSON.stringify(sample(agent)))
  return `curl -sN ${url}/agents/${agent.identifier}/stream -H 'content-type: application/json' -d ${body}`
}

/** A payload that fits: the agent's first example in its text field, and the least that other fields take. */
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
