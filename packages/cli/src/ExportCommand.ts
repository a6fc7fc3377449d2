/**
 * `fastagentic export openapi|mcp|a2a`: what a running server says of itself, as a file.
 *
 * @since 0.1.0
 */
import { Console, Effect, Schema } from "effect"
import * as Command from "effect/cli/Command"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Output from "./internal/output.ts"
import * as Request from "./internal/remote/request.ts"
import * as Server from "./internal/remote/server.ts"

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

const print = (value: unknown) => Console.log(Output.safe(JSON.stringify(value, undefined, 2)))

const document = (name: string, path: string, description: string) =>
  Command.make(name, Server.flags, (server) => Effect.flatMap(Request.json(server, { path }), print)).pipe(
    Command.withDescription(description)
  )

const mcp = Command.make(
  "mcp",
  Server.flags,
  Effect.fnUntraced(function*(server) {
    const found: Record<string, ReadonlyArray<Schema.Json>> = {}
    for (const [name, method] of Object.entries(lists)) found[name] = yield* all(server, name, method)
    yield* print(found)
  })
).pipe(Command.withDescription("The tools, resources and prompts that an MCP client of this token sees"))

/** @category commands @since 0.1.0 */
export const command = Command.make("export").pipe(
  Command.withDescription("What a running server says of itself, as JSON"),
  Command.withSubcommands([
    document("openapi", "/openapi.json", "The OpenAPI document"),
    mcp,
    document("a2a", "/.well-known/agent-card.json", "The A2A agent card")
  ]),
  Command.provide(FetchHttpClient.layer)
)
