import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Agent, App, Audit, Auth, Budget, RateLimit, Resource, Run, Server, Sqlite } from "fastagentic"
import { request } from "node:http"
import { join } from "node:path"
import { fastagentic, temporaryFolder } from "./process.ts"
import { urlOf } from "./serving.ts"

const Page = Resource.make("page", "docs://{book}/{page}", {
  description: "A page of a book",
  params: { book: Schema.String, page: Schema.String }
})

class Asker extends Agent.make("asker", { description: "Asks", payload: {}, success: Schema.String }) {}

class Lab extends App.make("lab", { version: "1", agents: [Asker], resources: [Page] }) {}

const hidden = "pay \u202e001\u202c to\u200b bob"

const handlers = Layer.merge(
  Page.toLayer(({ book, page }) => Effect.succeed(`book ${book}, page ${page}`)),
  Asker.toLayer(() => Effect.orDie(Run.interrupt("sure", { schema: Schema.String, message: hidden })))
)

const start = Effect.suspend(() =>
  Effect.map(
    Layer.build(
      Server.layer(Lab, { port: 0, grace: "200 millis" }).pipe(Layer.provide([
        handlers,
        Auth.layerNone,
        Sqlite.layer({ filename: join(temporaryFolder(), "lab.db") }),
        Audit.layerMemory,
        Budget.layerUnlimited,
        RateLimit.layerUnlimited
      ]))
    ),
    urlOf
  )
)

/** A path as it stands: `fetch` would encode its braces. */
const raw = (url: string, path: string) =>
  Effect.promise(() =>
    new Promise<string>((resolve) => {
      const { hostname, port } = new URL(url)
      const sent = request({ hostname, port, path }, (response) => {
        let text = ""
        response.setEncoding("utf8").on("data", (chunk: string) => text += chunk)
        response.on("end", () => resolve(text))
      })
      sent.end()
    })
  )

const mcp = (url: string, method: string, params: unknown) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/mcp`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })
    })
    return response.text()
  })

describe("small edges", () => {
  it.live("a path segment that looks like a parameter is its value and moves no other parameter", () =>
    Effect.gen(function*() {
      const url = yield* start
      assert.strictEqual(yield* raw(url, "/resources/page/{page}/7"), "book {page}, page 7")
    }).pipe(Effect.scoped))

  it.live("invisible characters of a question are shown as escapes over REST and by the command", () =>
    Effect.gen(function*() {
      const url = yield* start
      yield* Effect.promise(() => fetch(`${url}/agents/asker`, { method: "POST", body: "{}" }))
      const listed = yield* Effect.promise(async () => (await fetch(`${url}/interrupts`)).text())
      const printed = yield* Effect.promise(async () => {
        const running = fastagentic(["approvals", "list", "--url", url])
        await running.exited
        return running.stdout()
      })
      for (const text of [listed, printed]) {
        assert.include(text, "pay \\u202e001\\u202c to\\u200b bob")
        assert.notMatch(text, /[\u200b\u202c\u202e]/u)
      }
      assert.strictEqual(JSON.parse(listed).items[0].message, hidden)
    }).pipe(Effect.scoped))

  it.live("results of tools and contents of resources are marked as untrusted for MCP clients", () =>
    Effect.gen(function*() {
      const url = yield* start
      const mark = "\"_meta\":{\"fastagentic/untrusted\":true}"
      assert.include(yield* mcp(url, "tools/call", { name: "asker", arguments: {} }), mark)
      assert.include(yield* mcp(url, "resources/read", { uri: "docs://a/b" }), mark)
    }).pipe(Effect.scoped))
})
