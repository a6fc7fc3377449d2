import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Agent, App, Defaults, Run, Server, Sqlite } from "fastagentic"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { urlOf } from "./serving.ts"

class Asks extends Agent.make("asks", { description: "Asks before all else", payload: { text: Schema.String } }) {}
class Desk extends App.make("desk", { version: "1", agents: [Asks] }) {}

const AsksLayer = Asks.toLayer(() =>
  Effect.map(Effect.orDie(Run.interrupt("refund", { schema: Schema.Boolean })), (yes) => yes ? "refunded" : "kept")
)

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "ahead-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const serve = Effect.gen(function*() {
  const filename = join(yield* folder, "runs.db")
  const served = Server.layer(Desk, { port: 0, grace: "200 millis" }).pipe(
    Layer.provide([AsksLayer, Defaults.layerOpen, Sqlite.layer({ filename })])
  )
  return urlOf(yield* Layer.build(served))
})

const rpc = (url: string, headers: Record<string, string>, method: string, params: unknown) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
      signal: AbortSignal.timeout(10_000)
    })
    const text = await response.text()
    return JSON.parse(text.startsWith("{") ? text : text.slice(text.lastIndexOf("data: ") + 6))
  })

const a2a = (url: string, parts: ReadonlyArray<unknown>, more: Record<string, unknown> = {}) =>
  rpc(`${url}/a2a`, { "a2a-version": "1.0" }, "SendMessage", {
    message: { messageId: globalThis.crypto.randomUUID(), role: "ROLE_USER", parts, ...more }
  })

const mcp = (url: string, more: Record<string, unknown>) =>
  rpc(
    `${url}/mcp`,
    { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "asks" },
    "tools/call",
    {
      name: "asks",
      arguments: { text: "?" },
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        ...more
      }
    }
  )

describe("A run on SQLite, whose store is ahead of the process", () => {
  it.live(
    "that asks at once answers a waiting A2A message with the question, and the answer with its end, 40 times",
    () =>
      Effect.gen(function*() {
        const url = yield* serve
        for (let i = 0; i < 40; i++) {
          const { result } = yield* a2a(url, [{ text: "please" }])
          assert.strictEqual(result?.task?.status.state, "TASK_STATE_INPUT_REQUIRED", `message ${i}`)
          const { id: taskId } = result.task
          const answered = yield* a2a(url, [{ data: { decision: "approve", value: true } }], { taskId })
          assert.strictEqual(answered.error, undefined, `answer ${i}: ${JSON.stringify(answered.error)}`)
          assert.strictEqual(answered.result.task.status.state, "TASK_STATE_COMPLETED")
          assert.include(JSON.stringify(answered.result.task.artifacts), "refunded")
        }
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("that asks at once answers a waiting MCP call with the question, 20 times", () =>
    Effect.gen(function*() {
      const url = yield* serve
      for (let i = 0; i < 20; i++) {
        const { result } = yield* mcp(url, i % 2 === 0 ? {} : { progressToken: i })
        assert.include(JSON.stringify(result), "RunSuspended", `call ${i}`)
      }
    }).pipe(Effect.scoped), 60_000)
})
