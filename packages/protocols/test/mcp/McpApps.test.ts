import { assert, describe, it } from "@effect/vitest"
import { App, Auth, Budget, Fusion, Presentation, RateLimit, Resource, Runtime } from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { headers, type Reply, send } from "./wire.ts"

const csp = { connectDomains: ["https://api.example.com"] }

const Board = Resource.make("board", "ui://board", {
  description: "Shows a board",
  presentation: { ui: { csp, prefersBorder: true } }
})

const shown = (ui: Presentation.Ui) =>
  Tool.make("show_board", { description: "Shows the board", success: Schema.Struct({ cards: Schema.Int }) })
    .annotate(Presentation.OfTool, { meta: { "example.com/kind": 1 }, ui })

const Tools = Toolkit.make(
  shown({ resourceUri: "ui://board" }),
  Tool.make("move_card", { description: "Moves a card" })
    .annotate(Presentation.OfTool, { ui: { resourceUri: "ui://board", visibility: ["app"] } })
)

class Boards extends App.make("boards", { version: "1.0.0", tools: Tools, resources: [Board] }) {}

const Handlers = Layer.mergeAll(
  Tools.toLayer({ show_board: () => Effect.succeed({ cards: 3 }), move_card: () => Effect.void }),
  Board.toLayer(() => Effect.succeed("<!doctype html><title>Board</title>"))
)

const start = Effect.orDie(Effect.gen(function*() {
  const runtime = Runtime.layer(Boards).pipe(
    Layer.provide(Handlers),
    Layer.provideMerge(Layer.mergeAll(layerStores, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited))
  )
  return `${yield* serve(Layer.provide(mounted("mcp"), runtime))}/mcp`
}))

const extension = "io.modelcontextprotocol/ui"

describe("An interface of MCP Apps", () => {
  it.live("is named by its tools, and read with what its host needs", () =>
    Effect.gen(function*() {
      const url = yield* start
      const { result: list } = yield* send(url, "tools/list", {})
      const tools: ReadonlyArray<{ readonly name: string; readonly _meta: object }> = JSON.parse(
        JSON.stringify(list?.["tools"])
      )
      assert.deepStrictEqual(tools.map(({ _meta, name }) => [name, _meta]), [
        ["move_card", { ui: { resourceUri: "ui://board", visibility: ["app"] } }],
        ["show_board", { "example.com/kind": 1, ui: { resourceUri: "ui://board" } }]
      ])
      const { result: page } = yield* send(url, "resources/read", { uri: "ui://board" }, { "mcp-name": "ui://board" })
      assert.deepStrictEqual<unknown>(page?.["contents"], [{
        uri: "ui://board",
        mimeType: "text/html;profile=mcp-app",
        text: "<!doctype html><title>Board</title>",
        _meta: { "fastagentic/untrusted": true, ui: { csp, prefersBorder: true } }
      }])
      const { result: called } = yield* send(url, "tools/call", { name: "show_board", arguments: {} })
      assert.deepStrictEqual<unknown>(called?.["structuredContent"], { cards: 3 })
    }).pipe(Effect.scoped))

  it.live("is an extension that clients of both generations find", () =>
    Effect.gen(function*() {
      const url = yield* start
      const { result } = yield* send(url, "server/discover", {})
      assert.containsAllKeys(Object(result?.["capabilities"]).extensions, [extension])
      const text = yield* Effect.promise(async () => {
        const params = {
          protocolVersion: "2025-11-25",
          capabilities: { extensions: { [extension]: { mimeTypes: ["text/html;profile=mcp-app"] } } },
          clientInfo: { name: "t", version: "1" }
        }
        const body = JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params })
        return (await fetch(url, { method: "POST", headers, body })).text()
      })
      const initialized: Reply = JSON.parse(text.slice(text.indexOf("{")))
      assert.containsAllKeys(Object(initialized.result?.["capabilities"]).extensions, [extension])
    }).pipe(Effect.scoped))

  it.effect("stops the start when its page is missing, or is no page", () =>
    Effect.gen(function*() {
      const problemOf = (app: App.Any) => Effect.map(Effect.flip(Fusion.compile(app)), ({ message }) => message)
      const missing = App.make("missing", { version: "1", tools: Toolkit.make(shown({ resourceUri: "ui://none" })) })
      assert.strictEqual(
        yield* problemOf(missing),
        "tool \"show_board\": its interface \"ui://none\" is no resource of the app"
      )
      const Text = Resource.make("text", "ui://text", { description: "No page", mimeType: "text/plain" })
      assert.include(yield* problemOf(App.make("text", { version: "1", resources: [Text] })), "resource \"text\"")
    }))
})
