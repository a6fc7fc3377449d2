import { assert, describe, it } from "@effect/vitest"
import { Auth, Caller, Principal, Runtime } from "@fastagentic/core"
import type { Mount } from "@fastagentic/protocols/mount"
import { Context, Effect, Layer, Redacted } from "effect"
import { request } from "node:http"
import { layerRuntime, mounted, mountedWith, serve } from "../fixture.ts"
import { connect, kinds } from "./clients.ts"
import { becomes, suite } from "./suite.ts"
import { headers, modern } from "./wire.ts"

const caller = Caller.make("local")

/** The fixture on its own socket, with its runtime. */
const start = (auth?: Layer.Layer<Auth.Auth>, options: Mount.Options = {}) =>
  Effect.orDie(Effect.gen(function*() {
    const context = yield* Layer.build(layerRuntime(auth))
    const url = yield* serve(Layer.provide(mountedWith(options, "mcp"), Layer.succeedContext(context)))
    return { url: `${url}${options.prefix ?? ""}/mcp`, runtime: Context.get(context, Runtime.Runtime) }
  }))

const statesOf = (runtime: Runtime.Runtime["Service"], as: Caller.Caller = caller) =>
  Effect.map(
    Effect.orDie(Effect.map(runtime.list(as, { limit: 10, agent: "support" }), ({ items }) => items)),
    (runs) => runs.map(({ state }) => state)
  )

const server = Effect.map(start(), ({ runtime, url }) => ({
  target: { _tag: "Http" as const, url },
  states: () => statesOf(runtime)
}))

const keys = Auth.layerKeys([{ key: Redacted.make("right"), principal: Principal.local }])

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: { readonly error: { readonly code: number; readonly data: Record<string, unknown> } }
}

const post = (url: string, body: string, extra: Record<string, string> = {}): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    const response = await fetch(url, { method: "POST", headers: { ...headers, ...extra }, body })
    return { status: response.status, headers: response.headers, body: await response.json() }
  })

/** `fetch` writes its own `Host`. */
const withHost = (url: string, host: string) =>
  Effect.callback<number>((resume) => {
    request(url, { headers: { host } }, (response) => {
      response.resume()
      resume(Effect.succeed(response.statusCode ?? 0))
    }).end()
  })

const ping = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" })

for (const kind of kinds) suite("McpProtocol", kind, server)

describe("McpProtocol", () => {
  it.live("offers no list of tasks where all callers are one principal", () =>
    Effect.gen(function*() {
      const capabilitiesOf = (url: string, extra: Record<string, string>) =>
        Effect.promise(async () => {
          const response = await fetch(url, {
            method: "POST",
            headers: { ...headers, ...extra },
            body: JSON.stringify({
              jsonrpc: "2.0",
              id: 0,
              method: "initialize",
              params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } }
            })
          })
          const text = await response.text()
          return JSON.parse(text.slice(text.indexOf("{"))).result.capabilities.tasks
        })
      const { url } = yield* start()
      assert.doesNotHaveAnyKeys(yield* capabilitiesOf(url, {}), ["list"])
      const list = yield* Effect.promise(async () => {
        const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tasks/list", params: {} })
        return (await fetch(url, { method: "POST", headers, body })).text()
      })
      assert.include(list, "-32601")
      const known = yield* start(keys)
      assert.containsAllKeys(yield* capabilitiesOf(known.url, { authorization: "Bearer right" }), ["list", "cancel"])
    }))

  it.live("requires credentials before it reads a request", () =>
    Effect.gen(function*() {
      const { url } = yield* start(keys)
      for (const extra of [{}, { authorization: "Bearer wrong" }]) {
        const answer = yield* post(url, ping, extra)
        assert.strictEqual(answer.status, 401)
        const bearer = "authorization" in extra ? "Bearer realm=\"agents\", error=\"invalid_token\"" : "Bearer"
        assert.strictEqual(answer.headers.get("www-authenticate"), `${bearer}, ApiKey realm="agents"`)
        assert.strictEqual(answer.body.error.data["tag"], "Unauthenticated")
      }
      const schema = yield* Effect.promise(() => fetch(`${url}/schema`))
      assert.strictEqual(schema.status, 401)
      const list = yield* post(url, modern("tools/list", {}).body, modern("tools/list", {}).headers)
      assert.strictEqual(list.status, 401)
    }))

  it.live("names the trace in every answer", () =>
    Effect.gen(function*() {
      const { url } = yield* start(keys)
      const [outer, inner] = ["0af7651916cd43dd8448eb211c80319c", "4bf92f3577b34da6a3ce929d0e0e4736"]
      const traceparentOf = (traceId: string) => `00-${traceId}-b7ad6b7169203331-01`
      const extra = { "x-api-key": "right", traceparent: traceparentOf(outer) }
      const sent = modern("tools/list", { cursor: "x" })
      const withMeta = {
        jsonrpc: "2.0",
        id: 1,
        method: "ping",
        params: { _meta: { traceparent: traceparentOf(inner) } }
      }
      const cases: ReadonlyArray<readonly [answer: Effect.Effect<{ readonly headers: Headers }>, traceId: string]> = [
        [post(url, ping, { traceparent: traceparentOf(outer) }), outer],
        [post(url, ping, { ...extra, origin: "https://evil.example" }), outer],
        [post(url, "{", extra), outer],
        [Effect.promise(() => fetch(url, { headers: extra })), outer],
        [Effect.promise(() => fetch(`${url}/schema`, { headers: extra })), outer],
        [Effect.promise(() => fetch(url, { method: "POST", headers: { ...headers, ...extra }, body: ping })), outer],
        [
          Effect.promise(() =>
            fetch(url, { method: "POST", headers: { ...headers, ...extra }, body: JSON.stringify(withMeta) })
          ),
          inner
        ]
      ]
      for (const [answer, traceId] of cases) {
        const { headers } = yield* answer
        assert.strictEqual(headers.get("x-trace-id"), traceId)
        assert.match(headers.get("traceparent") ?? "", new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`, "u"))
      }
      // Without a sent trace, the header and the error still agree.
      const refused = yield* post(url, sent.body, { ...sent.headers, "x-api-key": "right" })
      assert.match(refused.headers.get("x-trace-id") ?? "", /^[0-9a-f]{32}$/u)
      assert.strictEqual(refused.body.error.data["traceId"], refused.headers.get("x-trace-id"))
    }))

  for (const kind of kinds) {
    it.live(`lets ${kind} in with the right key`, () =>
      Effect.gen(function*() {
        const { url } = yield* start(keys)
        const peer = yield* connect(kind, { _tag: "Http", url, headers: { authorization: "Bearer right" } })
        assert.strictEqual((yield* Effect.promise(peer.listTools)).length, 7)
        assert.isFalse((yield* Effect.promise(() => peer.callTool("find_order", { orderId: 1042 }))).isError)
      }))
  }

  it.live("describes all declarations under /schema", () =>
    Effect.gen(function*() {
      const { url } = yield* start(undefined, { prefix: "/tools" })
      const response = yield* Effect.promise(() => fetch(`${url}/schema`))
      const { server: info, ...schema }: Record<string, ReadonlyArray<{ readonly name: string }>> = yield* Effect
        .promise(() => response.json())
      assert.deepEqual<unknown>(info, { name: "acme", version: "1.0.0", title: "Acme" })
      assert.deepStrictEqual(schema["tools"]?.map(({ name }) => name), [
        "answer_run",
        "cancel_run",
        "echo",
        "find_order",
        "get_run",
        "refund_order",
        "support"
      ])
      assert.deepStrictEqual(schema["resourceTemplates"]?.map(({ name }) => name), ["handbook"])
      assert.deepStrictEqual(schema["prompts"]?.map(({ name }) => name), ["triage"])
    }))

  it.live("refuses a body over the limit, and one that is not JSON", () =>
    Effect.gen(function*() {
      const { url } = yield* start()
      const large = yield* post(url, JSON.stringify({ text: "x".repeat(1_048_576) }))
      assert.strictEqual(large.status, 413)
      assert.deepInclude(large.body.error.data, { tag: "BodyTooLarge", limitBytes: 1_048_576 })
      const broken = yield* post(url, "{ not json")
      assert.strictEqual(broken.status, 400)
      assert.strictEqual(broken.body.error.code, -32700)
    }))

  it.live("refuses pages and host names of others", () =>
    Effect.gen(function*() {
      const { url } = yield* start(undefined, {
        guards: { hosts: ["agents.example"] },
        cors: ["http://localhost:6274"]
      })
      for (const origin of ["https://evil.example", "null", "not an origin", "http://localhost:3000"]) {
        const answer = yield* post(url, ping, { origin })
        assert.strictEqual(answer.status, 403, origin)
      }
      for (const origin of ["http://localhost:6274", new URL(url).origin]) {
        const response = yield* Effect.promise(() =>
          fetch(url, { method: "POST", headers: { ...headers, origin }, body: ping })
        )
        assert.strictEqual(response.status, 200, origin)
        yield* Effect.promise(() => response.text())
      }
      assert.strictEqual(yield* withHost(`${url}/schema`, "evil.example"), 403)
      assert.strictEqual(yield* withHost(`${url}/schema`, "agents.example:8080"), 200)
      assert.strictEqual(yield* withHost(`${url}/schema`, "localhost"), 200)
    }))

  it.live("refuses GET and DELETE without a session", () =>
    Effect.gen(function*() {
      const { url } = yield* start()
      for (const method of ["GET", "DELETE"]) {
        const response = yield* Effect.promise(() => fetch(url, { method }))
        assert.strictEqual(response.status, 405)
        assert.strictEqual(response.headers.get("allow"), "POST")
        yield* Effect.promise(() => response.text())
      }
    }))

  it.live("answers the errors of 2026-07-28 with their status", () =>
    Effect.gen(function*() {
      const { url } = yield* start()
      const unknown = modern("nothing/here", {})
      assert.strictEqual((yield* post(url, unknown.body, unknown.headers)).status, 404)
      const { body, headers: sent } = modern("tools/call", { name: "find_order", arguments: { orderId: 1 } })
      const mismatch = yield* post(url, body, { ...sent, "mcp-name": "refund_order" })
      assert.strictEqual(mismatch.status, 400)
      assert.strictEqual(mismatch.body.error.code, -32020)
    }))

  it.live("leaves the run alone when a client of 2025 loses its connection", () =>
    Effect.gen(function*() {
      const { runtime, url } = yield* start()
      const controller = new AbortController()
      const body = JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: { name: "support", arguments: { question: "wait" } }
      })
      const calling = fetch(url, { method: "POST", headers, body, signal: controller.signal })
        .then((response) => response.text())
        .catch(() => "gone")
      assert.isTrue(yield* becomes(statesOf(runtime), "running"))
      controller.abort()
      assert.strictEqual(yield* Effect.promise(() => calling), "gone")
      yield* Effect.sleep("200 millis")
      assert.isTrue(yield* becomes(statesOf(runtime), "running"))
    }))

  it.live("leaves the run alone when the server shuts down", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(layerRuntime())
      const states = statesOf(Context.get(context, Runtime.Runtime))
      const { body, headers: sent } = modern("tools/call", { name: "support", arguments: { question: "wait" } })
      let calling = Promise.resolve("not called")
      yield* Effect.scoped(Effect.gen(function*() {
        const url = yield* serve(Layer.provide(mounted("mcp"), Layer.succeedContext(context)))
        calling = fetch(`${url}/mcp`, { method: "POST", headers: sent, body }).then(
          (response) => `answered ${response.status}`,
          () => "cut"
        )
        assert.isTrue(yield* becomes(states, "running"))
      }))
      assert.include(["answered 200", "answered 503", "cut"], yield* Effect.promise(() => calling))
      yield* Effect.sleep("100 millis")
      assert.deepStrictEqual(yield* states, ["running"])
    }).pipe(Effect.orDie))

  it.live("cancels no call of another caller", () =>
    Effect.gen(function*() {
      const someone = new Principal.Principal({ id: "someone", tenant: "local", scopes: [], roles: [], claims: {} })
      const { runtime, url } = yield* start(Auth.layerKeys([
        { key: Redacted.make("right"), principal: Principal.local },
        { key: Redacted.make("other"), principal: someone }
      ]))
      const session = { "mcp-session-id": "shared" }
      const body = JSON.stringify({
        jsonrpc: "2.0",
        id: 7,
        method: "tools/call",
        params: { name: "support", arguments: { question: "wait" } }
      })
      const controller = new AbortController()
      const calling = fetch(url, {
        method: "POST",
        headers: { ...headers, ...session, "x-api-key": "right" },
        body,
        signal: controller.signal
      }).then((response) => response.text(), () => "gone")
      const own = Caller.make("local", { credentials: { apiKey: Redacted.make("right") } })
      assert.isTrue(yield* becomes(statesOf(runtime, own), "running"))
      const cancel = (key: string) =>
        Effect.promise(() =>
          fetch(url, {
            method: "POST",
            headers: { ...headers, ...session, "x-api-key": key },
            body: JSON.stringify({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 7 } })
          })
        )
      assert.strictEqual((yield* cancel("other")).status, 202)
      yield* Effect.sleep("100 millis")
      assert.deepStrictEqual(yield* statesOf(runtime, own), ["running"])
      assert.strictEqual((yield* cancel("right")).status, 202)
      assert.isTrue(yield* becomes(statesOf(runtime, own), "cancelled"))
      yield* Effect.promise(() => calling)
    }))
})
