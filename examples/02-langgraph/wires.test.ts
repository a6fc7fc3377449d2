import { ClientFactory } from "@a2a-js/sdk/client"
import { assert, describe, it } from "@effect/vitest"
import { Client as McpClient, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import { Effect, Layer } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpServer from "effect/http/HttpServer"
import { Client, Defaults, RunStore, Server } from "fastagentic"
import { LangGraph } from "fastagentic/langgraph"
import research from "./app.ts"

const ServerLayer = Server.layer(research.app, { port: 0 }).pipe(
  Layer.provide(research.handlers),
  Layer.provide([Defaults.layerOpen, Defaults.layerAuditMemory, RunStore.RunStore.layerMemory])
)

const answer = "I found this: Tides follow the moon, twice a day."

/** Text that nodes emit before the answer is streamed as well. */
const spoken = `Let me search.${answer}`

/** Runs one test against the graph on a real port. */
const onTheWire = (name: string, test: (url: string) => Effect.Effect<void>) =>
  it.live(name, () =>
    Effect.gen(function*() {
      const { address } = yield* HttpServer.HttpServer
      yield* test("port" in address ? `http://127.0.0.1:${address.port}` : "")
    }).pipe(Effect.provide(ServerLayer)))

const post = (url: string, body: unknown) =>
  Effect.promise(() => fetch(url, { method: "POST", body: JSON.stringify(body) }))

const tokensOf = (events: ReadonlyArray<{ readonly type: string; readonly data: { readonly delta?: string } }>) =>
  events.flatMap((event) => event.type === "token" ? [event.data.delta] : []).join("")

describe("a LangGraph graph over every wire", () => {
  onTheWire("REST and the typed client", (url) =>
    Effect.gen(function*() {
      const client = yield* Client.make(research.app, { url })
      assert.strictEqual(yield* client.agents.researcher({ topic: "tides" }), answer)
      const error = yield* Effect.flip(client.agents.researcher({ topic: "dragons" }))
      assert.deepInclude(error, { _tag: "NothingFound", topic: "dragons" })
    }).pipe(Effect.provide(FetchHttpClient.layer), Effect.orDie))

  onTheWire("server-sent events", (url) =>
    Effect.gen(function*() {
      const response = yield* post(`${url}/agents/researcher/stream`, { topic: "tides" })
      const body = yield* Effect.promise(() => response.text())
      const events = [...body.matchAll(/^data: (.*)$/gmu)].map(([, data]) => JSON.parse(data ?? ""))
      assert.isAbove(events.filter(({ type }) => type === "token").length, 1)
      assert.strictEqual(tokensOf(events), spoken)
      for (const type of ["node_enter", "tool_call", "tool_result", "usage", "done"]) {
        assert.isTrue(events.some((event) => event.type === type), type)
      }
    }))

  onTheWire("WebSocket", (url) =>
    Effect.gen(function*() {
      const events = yield* Effect.callback<Array<{ type: string; data: { delta?: string } }>>((resume) => {
        const received: Array<{ type: string; data: { delta?: string } }> = []
        const socket = new WebSocket(`${url.replace("http", "ws")}/ws`)
        socket.onopen = () =>
          socket.send(JSON.stringify({ id: "1", op: "start", agent: "researcher", payload: { topic: "tides" } }))
        socket.onmessage = ({ data }) => {
          const frame = JSON.parse(String(data))
          if (frame.type === "event") received.push(frame.event)
          if (frame.type === "end") {
            socket.close()
            resume(Effect.succeed(received))
          }
        }
      })
      assert.strictEqual(tokensOf(events), spoken)
    }))

  onTheWire("MCP", (url) =>
    Effect.promise(async () => {
      const client = new McpClient({ name: "test", version: "1.0.0" })
      await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)))
      const result = await client.callTool({ name: "researcher", arguments: { topic: "tides" } })
      assert.deepStrictEqual(result.content, [
        { type: "text", text: answer, _meta: { "fastagentic/untrusted": true } }
      ])
      const failed = await client.callTool({ name: "researcher", arguments: { topic: "dragons" } })
      assert.isTrue(failed.isError)
      await client.close()
    }))

  onTheWire("A2A", (url) =>
    Effect.promise(async () => {
      const client = await new ClientFactory().createFromUrl(url)
      const result = await client.sendMessage({
        tenant: "",
        configuration: undefined,
        metadata: undefined,
        message: {
          messageId: crypto.randomUUID(),
          contextId: "",
          taskId: "",
          role: 1,
          parts: [{ content: { $case: "text", value: "tides" }, metadata: undefined, filename: "", mediaType: "" }],
          metadata: undefined,
          extensions: [],
          referenceTaskIds: []
        }
      })
      assert.include(JSON.stringify(result), answer)
    }))

  onTheWire(
    "callers see what the adapter can do, in GET /agents and on the agent card",
    (url) =>
      Effect.promise(async () => {
        const agents = await (await fetch(`${url}/agents`)).json()
        assert.deepStrictEqual(agents.items[0].adapter, { name: "langgraph", capabilities: LangGraph.capabilities })
        const card = await (await fetch(`${url}/.well-known/agent-card.json`)).json()
        assert.deepStrictEqual(card.capabilities.extensions[0].params, {
          researcher: { name: "langgraph", ...LangGraph.capabilities }
        })
      })
  )

  onTheWire("cancellation", (url) =>
    Effect.gen(function*() {
      const started = yield* Effect.promise(async () =>
        (await fetch(`${url}/agents/researcher/runs`, {
          method: "POST",
          body: JSON.stringify({ topic: "tides" })
        })).json()
      )
      const cancelled = yield* post(`${url}/runs/${started.runId}/cancel`, {})
      const run = yield* Effect.promise(() => cancelled.json())
      assert.include(["cancelled", "completed"], run.state)
      const events = yield* Effect.promise(async () => (await fetch(`${url}/runs/${started.runId}/events`)).text())
      assert.match(events, /event: (?:run_cancelled|done)\n/u)
    }))
})
