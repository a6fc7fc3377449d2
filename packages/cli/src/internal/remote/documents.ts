// The documents of an app about itself, by protocol: the OpenAPI document, the lists of MCP, the agent card of A2A. `export` prints
// them, of a server or of an app in memory; `test` compares them with what was recorded.
import { Effect, Schema } from "effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Request from "./request.ts"
import * as Server from "./server.ts"

export const names = ["openapi", "mcp", "a2a"] as const

export type Name = typeof names[number]

/** The lists of MCP by their methods. */
const lists = {
  tools: "tools/list",
  resources: "resources/list",
  resourceTemplates: "resources/templates/list",
  prompts: "prompts/list"
} as const

const Page = Schema.Struct({
  result: Schema.StructWithRest(Schema.Struct({ nextCursor: Schema.optionalKey(Schema.String) }), [
    Schema.Record(Schema.String, Schema.Json)
  ])
})
const methodNotFound = -32_601
const Refusal = Schema.Struct({ error: Schema.Struct({ code: Schema.Int, message: Schema.String }) })

const pageOf = Effect.fnUntraced(
  function*(server: Server.Server, method: string, params: { readonly cursor?: string }) {
    const answer = yield* Request.json(server, {
      path: "/mcp",
      body: { jsonrpc: "2.0", id: 1, method, params },
      headers: { accept: "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25" }
    })
    return yield* Effect.mapError(
      Schema.decodeUnknownEffect(Schema.Union([Page, Refusal]))(answer),
      () => new Server.NotDone({ problem: `${method} has an answer that is not of MCP` })
    )
  }
)

/** All pages of a list. */
const all = Effect.fnUntraced(function*(server: Server.Server, name: string, method: string) {
  const items: Array<Schema.Json> = []
  let cursor: string | undefined
  do {
    const page: typeof Page.Type | typeof Refusal.Type = yield* pageOf(
      server,
      method,
      cursor === undefined ? {} : { cursor }
    )
    // A server without resources or prompts does not know their methods.
    if ("error" in page && page.error.code === methodNotFound) return items
    if ("error" in page) return yield* new Server.NotDone({ problem: `${method}: ${page.error.message}` })
    const found = page.result[name]
    if (Array.isArray(found)) items.push(...found)
    cursor = page.result.nextCursor
  } while (cursor !== undefined)
  return items
})

const mcp = Effect.fnUntraced(function*(server: Server.Server) {
  const found: Record<string, Schema.Json> = {}
  for (const [name, method] of Object.entries(lists)) found[name] = yield* all(server, name, method)
  return found
})

const paths = { openapi: "/openapi.json", a2a: "/.well-known/agent-card.json" }

/** A document as the server gives it to the caller. */
export const read = (
  name: Name,
  server: Server.Server
): Effect.Effect<Schema.Json, Server.NotDone, HttpClient.HttpClient> =>
  name === "mcp" ? mcp(server) : Request.json(server, { path: paths[name] })
