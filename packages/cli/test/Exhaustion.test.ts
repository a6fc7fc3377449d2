import { NodeWS } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Agent, App, Audit, Auth, Budget, RateLimit, Server, Sqlite } from "fastagentic"
import { once } from "node:events"
import { join } from "node:path"
import { temporaryFolder } from "./process.ts"
import { urlOf } from "./serving.ts"

class Echo extends Agent.make("echo", {
  description: "Says what you say",
  payload: { text: Schema.String },
  success: Schema.Struct({ text: Schema.String })
}) {}

class Lab extends App.make("lab", { version: "1", agents: [Echo] }) {}

const EchoLayer = Echo.toLayer(({ text }) => Effect.succeed({ text }))

const start = Effect.suspend(() =>
  Effect.map(
    Layer.build(
      Server.layer(Lab, { port: 0 }).pipe(Layer.provide([
        EchoLayer,
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

/** An object with fields that nobody declares. */
const excess = (count: number) =>
  Object.fromEntries([["text", "x"], ...Array.from({ length: count }, (_, index) => [`field${index}`, index] as const)])

const json = { "content-type": "application/json" }

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, { method: "POST", headers: { ...json, ...headers }, body: JSON.stringify(body) })
    return { status: response.status, text: await response.text() }
  })

const places = (text: string) => text.match(/field\d+/gu)?.length ?? 0

/** The answers of every protocol to a payload that does not fit. */
const refusals = {
  REST: (url: string, payload: unknown) => Effect.map(post(`${url}/agents/echo`, payload), ({ text }) => text),
  "REST, a schedule": (url: string, payload: unknown) =>
    Effect.map(post(`${url}/schedules/x`, payload), ({ text }) => text),
  MCP: (url: string, payload: unknown) =>
    Effect.map(
      post(
        `${url}/mcp`,
        { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "echo", arguments: payload } },
        {
          accept: "application/json, text/event-stream"
        }
      ),
      ({ text }) => text
    ),
  A2A: (url: string, payload: unknown) =>
    Effect.map(
      post(`${url}/a2a`, {
        jsonrpc: "2.0",
        id: 1,
        method: "SendMessage",
        params: { message: { messageId: "m1", role: "ROLE_USER", parts: [{ data: payload }] } }
      }, { "a2a-version": "1.0" }),
      ({ text }) => text
    ),
  WebSocket: (url: string, payload: unknown) =>
    Effect.promise(async () => {
      const ws = new NodeWS.WebSocket(`${url.replace("http", "ws")}/ws`)
      await once(ws, "open")
      ws.send(JSON.stringify({ id: "1", op: "start", agent: "echo", payload }))
      const [data] = await once(ws, "message")
      ws.terminate()
      return String(data)
    })
} as const

describe("a value with very many faults", () => {
  for (const [protocol, refused] of Object.entries(refusals)) {
    it.live(`${protocol} lists at most 100 places of it, and an answer stays small`, () =>
      Effect.gen(function*() {
        const url = yield* start
        const text = yield* refused(url, excess(5_000))
        assert.include(text, "field0", text.slice(0, 300))
        // A place is named in the list and, for the first ones, in the message.
        assert.isAtMost(places(text), 300)
        assert.isBelow(text.length, 40_000)
      }).pipe(Effect.scoped))
  }

  it.live("60,000 undeclared fields are refused at the first one, within half a second of processor time", () =>
    Effect.gen(function*() {
      const url = yield* start
      yield* post(`${url}/agents/echo`, { text: "warm" })
      const before = process.cpuUsage()
      const { status, text } = yield* post(
        `${url}/agents/echo`,
        Object.fromEntries(Array.from({ length: 60_000 }, (_, n) => [`f${n}`, 1]))
      )
      assert.strictEqual(status, 400)
      assert.isBelow(text.length, 2_000)
      assert.isBelow(process.cpuUsage(before).user / 1_000, 500)
    }).pipe(Effect.scoped))
})
