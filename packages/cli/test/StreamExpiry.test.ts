import { NodeWS } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Redacted } from "effect"
import { Agent, ApiKeys, App, Event, Run, Server } from "fastagentic"
import { once } from "node:events"
import { memory, urlOf } from "./serving.ts"

class Talk extends Agent.make("talk", { description: "Talks for a while", payload: {} }) {}
class Desk extends App.make("desk", { version: "1", agents: [Talk] }) {}

/** A server with an agent that says "before", and "after" once its gate is open, and a key of a caller. */
const serve = Effect.fnUntraced(function*(options: Server.Options) {
  const gate = yield* Deferred.make<void>()
  const TalkLayer = Talk.toLayer(Effect.fn(function*() {
    yield* Run.emit(Event.token("before "))
    yield* Deferred.await(gate)
    yield* Run.emit(Event.token("after"))
    return "done"
  }))
  const services = Layer.mergeAll(ApiKeys.layer, memory).pipe(Layer.provideMerge(ApiKeys.ApiKeyStore.layerMemory))
  const context = yield* Layer.build(
    Server.layer(Desk, { port: 0, ...options }).pipe(Layer.provide(TalkLayer), Layer.provideMerge(services))
  )
  const url = urlOf(context)
  const { key, secret } = yield* Effect.provideContext(
    ApiKeys.create({ id: "ann", tenant: "acme", scopes: [], roles: [] }),
    context
  )
  const headers = { authorization: `Bearer ${Redacted.value(secret)}`, "content-type": "application/json" }
  return {
    url,
    headers,
    open: Deferred.succeed(gate, undefined),
    revoke: Effect.provideContext(ApiKeys.revoke(key.prefix), context),
    post: (path: string, body: unknown, more: Record<string, string> = {}) =>
      Effect.promise(() =>
        fetch(`${url}${path}`, { method: "POST", headers: { ...headers, ...more }, body: JSON.stringify(body) })
      ),
    status: Effect.promise(async () => (await fetch(`${url}/runs`, { headers })).status)
  }
})

const often: Server.Options = { credentialCheck: "200 millis", grace: "100 millis" }

const rpc = { jsonrpc: "2.0", id: 1 }

describe("a stream whose caller's key is revoked", () => {
  it.live("SSE ends, and the client that comes back gets 401; the run goes on", () =>
    Effect.gen(function*() {
      const { headers, open, post, revoke, url } = yield* serve(often)
      const stream = yield* post("/agents/talk/stream", {})
      assert.strictEqual(stream.status, 200)
      yield* revoke
      const text = yield* Effect.promise(() => stream.text())
      assert.include(text, "before")
      assert.match(text, /retry: \d+\n\n$/u)
      yield* open
      const runId = stream.headers.get("x-run-id") ?? ""
      const again = yield* Effect.promise(() => fetch(`${url}/runs/${runId}/events`, { headers }))
      assert.strictEqual(again.status, 401)
    }).pipe(Effect.scoped), 60_000)

  it.live("a WebSocket is closed with 3000, whether it follows a run or not", () =>
    Effect.gen(function*() {
      const { headers, revoke, url } = yield* serve(often)
      const sockets = yield* Effect.forEach([true, false], (follows) =>
        Effect.promise(async () => {
          const ws = new NodeWS.WebSocket(`${url.replace("http", "ws")}/ws`, { headers })
          await once(ws, "open")
          if (follows) ws.send(JSON.stringify({ id: "1", op: "start", agent: "talk", payload: {} }))
          return once(ws, "close")
        }).pipe(Effect.forkScoped))
      yield* Effect.sleep("300 millis")
      yield* revoke
      for (const closed of sockets) {
        const [code, reason] = yield* Fiber.join(closed)
        assert.strictEqual(code, 3000)
        assert.include(String(reason), "revoked")
      }
    }).pipe(Effect.scoped), 60_000)

  it.live(
    "a streaming message of A2A ends with an error, and so does an MCP call that reports progress",
    () =>
      Effect.gen(function*() {
        const { post, revoke } = yield* serve(often)
        const message = { messageId: "m1", role: "ROLE_USER", parts: [{ data: {} }] }
        const a2a = yield* post("/a2a", { ...rpc, method: "SendStreamingMessage", params: { message } }, {
          "a2a-version": "1.0"
        })
        const mcp = yield* post("/mcp", {
          ...rpc,
          method: "tools/call",
          params: { name: "talk", arguments: {}, _meta: { progressToken: "p" } }
        }, { accept: "application/json, text/event-stream" })
        yield* Effect.sleep("300 millis")
        yield* revoke
        const [left, right] = [yield* Effect.promise(() => a2a.text()), yield* Effect.promise(() => mcp.text())]
        assert.include(left, "Authentication failed", left)
        assert.include(right, "Authentication failed", right)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("with the option off, the stream continues to its end", () =>
    Effect.gen(function*() {
      const { open, post, revoke, status } = yield* serve({ credentialCheck: "off" })
      const stream = yield* post("/agents/talk/stream", {})
      yield* revoke
      while ((yield* status) !== 401) yield* Effect.sleep("50 millis")
      yield* Effect.sleep("500 millis")
      yield* open
      const text = yield* Effect.promise(() => stream.text())
      assert.include(text, "after")
      assert.include(text, "event: done")
    }).pipe(Effect.scoped), 60_000)
})

describe("a start far ahead", () => {
  it.live("is refused beyond the longest delay, a year unless the server says otherwise", () =>
    Effect.gen(function*() {
      const day = 86_400_000
      const { post } = yield* serve({})
      const at = (days: number) => post(`/agents/talk/runs?startAt=${Date.now() + days * day}`, {})
      assert.strictEqual((yield* at(364)).status, 202)
      const refused = yield* at(366)
      assert.strictEqual(refused.status, 400)
      const text = yield* Effect.promise(() => refused.text())
      assert.include(text, "\"target\":\"startAt\"")
      const short = yield* serve({ longestDelay: "1 hour" })
      const tomorrow = yield* short.post(`/agents/talk/runs?startAt=${Date.now() + day}`, {})
      assert.strictEqual(tomorrow.status, 400)
    }).pipe(Effect.scoped), 60_000)
})
