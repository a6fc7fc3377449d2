import { assert, describe, it } from "@effect/vitest"
import { Auth, Principal, Runtime } from "@fastagentic/core"
import { Effect, Layer, Redacted } from "effect"
import * as TestClock from "effect/testing/TestClock"
import { layerRuntime, mounted, serve } from "../fixture.ts"
import { connect, failing, json, post, refusal, request, send, sendFails, start } from "./support.ts"

const rpc = (method: string, params?: unknown, id: unknown = 1) => ({ jsonrpc: "2.0", method, id, params })

describe("JSON-RPC", () => {
  it.live("explains an invalid request", () =>
    Effect.gen(function*() {
      const url = `${yield* start()}/a2a`
      const cases: ReadonlyArray<readonly [unknown, number, string | number | null]> = [
        ["{", -32700, null],
        ["", -32700, null],
        [[rpc("GetTask", { id: "x" })], -32600, null],
        ["null", -32600, null],
        [{ ...rpc("GetTask"), jsonrpc: "1.0" }, -32600, 1],
        [{ jsonrpc: "2.0", id: "a" }, -32600, "a"],
        [rpc("GetTask", {}, { id: 1 }), -32600, null],
        [rpc("message/send", {}), -32601, 1],
        [rpc("toString", {}), -32601, 1],
        [rpc("GetTask", {}), -32602, 1],
        [rpc("GetTask", [1], 0), -32602, 0],
        [rpc("GetTask", { id: "x", historyLength: -1 }), -32602, 1],
        [rpc("GetTask", { id: "x" }, "a"), -32001, "a"],
        [rpc("ListTasks", { pageSize: 0 }), -32602, 1],
        [rpc("ListTasks", { pageToken: "x" }), -32602, 1],
        [rpc("GetExtendedAgentCard", {}), -32004, 1],
        [rpc("CreateTaskPushNotificationConfig", {}), -32003, 1]
      ]
      for (const [body, code, id] of cases) {
        const refused = yield* refusal(yield* post(url, body))
        assert.deepInclude(refused, { status: 200, code, id }, JSON.stringify(body))
      }
    }).pipe(Effect.scoped))

  it.live("names the trace in every answer", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const traceId = "0af7651916cd43dd8448eb211c80319c"
      const traceparent = `00-${traceId}-b7ad6b7169203331-01`
      const hello = { ...request("hello"), metadata: { skillId: "echo" } }
      const answers = [
        post(`${url}/a2a`, rpc("SendMessage", hello), { traceparent }),
        post(`${url}/a2a`, rpc("SendStreamingMessage", hello), { traceparent }),
        post(`${url}/a2a`, { jsonrpc: "2.0", method: "SendMessage", params: hello }, { traceparent }),
        post(`${url}/a2a`, "{", { traceparent }),
        ...["/a2a", "/.well-known/agent-card.json", "/a2a/nobody/.well-known/agent-card.json"].map((path) =>
          Effect.promise(() => fetch(url + path, { headers: { traceparent } }))
        )
      ]
      for (const answer of answers) {
        const { headers } = yield* answer
        assert.strictEqual(headers.get("x-trace-id"), traceId)
        assert.match(headers.get("traceparent") ?? "", new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`, "u"))
      }
    }).pipe(Effect.scoped))

  it.live("names the invalid fields of a message", () =>
    Effect.gen(function*() {
      const url = `${yield* start()}/a2a`
      const { message } = request("hello")
      const cases: ReadonlyArray<readonly [unknown, string]> = [
        [{ ...message, role: "ROLE_SOMEBODY" }, "message.role"],
        [{ ...message, messageId: "" }, "message.messageId"],
        [{ ...message, parts: [] }, "message.parts"],
        [{ ...message, parts: [{}] }, "message.parts.0"],
        [{ ...message, parts: [{ text: "a", data: 1 }] }, "message.parts.0"],
        [{ ...message, parts: [{ text: 1 }] }, "message.parts.0.text"]
      ]
      for (const [sent, field] of cases) {
        const refused = yield* refusal(yield* post(url, rpc("SendMessage", { message: sent })))
        assert.deepInclude(refused, { code: -32602, reason: "INVALID_PARAMS" })
        assert.include(refused.fields, field)
      }
      const odd = rpc("SendMessage", { message, configuration: { returnImmediately: "false" } })
      assert.include((yield* refusal(yield* post(url, odd))).fields, "configuration.returnImmediately")
      const push = rpc("SendMessage", { message, configuration: { taskPushNotificationConfig: { url: "https://x" } } })
      assert.strictEqual((yield* refusal(yield* post(url, push))).code, -32003)
    }).pipe(Effect.scoped))

  it.live("accepts messages of users only", () =>
    Effect.gen(function*() {
      const url = `${yield* start()}/a2a`
      const message = { ...request("hello").message, role: "ROLE_AGENT" }
      const refused = yield* refusal(yield* post(url, rpc("SendMessage", { message })))
      assert.deepInclude(refused, { code: -32602, fields: ["message.role"] })
    }).pipe(Effect.scoped))

  it.live("ignores unknown fields", () =>
    Effect.gen(function*() {
      const url = `${yield* start()}/a2a`
      const { message } = request("hello")
      const params = { message: { ...message, tenor: 1 }, metadata: { skillId: "echo" }, tenant: "t", more: [] }
      const response = yield* post(url, { ...rpc("SendMessage", params), extra: true })
      assert.property(yield* json(response), "result")
    }).pipe(Effect.scoped))

  it.live("names the trace of a refusal and not its cause", () =>
    Effect.gen(function*() {
      const url = `${yield* start()}/a2a`
      const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
      const response = yield* post(url, rpc("GetTask", { id: "x" }), { traceparent })
      assert.strictEqual(response.headers.get("x-trace-id"), "4bf92f3577b34da6a3ce929d0e0e4736")
      assert.deepStrictEqual((yield* refusal(response)).metadata, { traceId: "4bf92f3577b34da6a3ce929d0e0e4736" })
    }).pipe(Effect.scoped))

  it.live("takes the version from the header, else from the query, else it is 0.3", () =>
    Effect.gen(function*() {
      const url = `${yield* start()}/a2a`
      const body = rpc("SendMessage", { ...request("hello"), metadata: { skillId: "echo" } })
      for (const version of ["1.1", "10.0", "1", "0.2", "x"]) {
        const refused = yield* refusal(yield* post(url, body, { "a2a-version": version }))
        assert.deepInclude(refused, { code: -32009, reason: "VERSION_NOT_SUPPORTED" })
        assert.strictEqual(refused.metadata["supported"], "1.0, 0.3")
      }
      for (const version of ["", "0.3", "0.3.9"]) {
        const { error } = yield* json(yield* post(url, body, { "a2a-version": version }))
        assert.include(Object(error), { code: -32601 })
      }
      assert.property(yield* json(yield* post(url, body, { "a2a-version": "1.0.1" })), "result")
      assert.property(yield* json(yield* post(`${url}?A2A-Version=1.0`, body, { "a2a-version": "" })), "result")
    }).pipe(Effect.scoped))

  it.live("carries out a notification without an answer", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const client = yield* connect(url)
      const message = request("wait", { messageId: "once" })
      const response = yield* post(`${url}/a2a`, { jsonrpc: "2.0", method: "SendMessage", params: message })
      assert.strictEqual(response.status, 204)
      assert.strictEqual(yield* Effect.promise(() => response.text()), "")
      const task = yield* send(client, "wait", { messageId: "once", configuration: { returnImmediately: true } })
      const cancel = { jsonrpc: "2.0", method: "CancelTask", params: { id: task.id } }
      assert.strictEqual((yield* post(`${url}/a2a`, cancel)).status, 204)
      assert.include(yield* sendFails(client, "more", { taskId: task.id }), { code: -32004 })
      assert.strictEqual((yield* post(`${url}/a2a`, { ...cancel, method: "Nothing" })).status, 204)
    }).pipe(Effect.scoped))

  it.live("accepts JSON of up to 1 MiB by POST", () =>
    Effect.gen(function*() {
      const url = `${yield* start()}/a2a`
      const large = rpc("SendMessage", { ...request("x".repeat(1_048_576)), metadata: { skillId: "echo" } })
      assert.deepInclude(yield* refusal(yield* post(url, large)), { status: 413, reason: "REQUEST_TOO_LARGE" })
      const fits = rpc("SendMessage", { ...request("x".repeat(1_000_000)), metadata: { skillId: "echo" } })
      assert.strictEqual((yield* post(url, fits)).status, 200)
      const plain = yield* post(url, fits, { "content-type": "text/plain" })
      assert.deepInclude(yield* refusal(plain), { status: 415, reason: "CONTENT_TYPE_NOT_SUPPORTED" })
      const get = yield* Effect.promise(() => fetch(url))
      assert.deepStrictEqual([get.status, get.headers.get("allow")], [405, "POST"])
    }).pipe(Effect.scoped))

  it.live("streams with the headers of an event stream, and refuses in plain JSON", () =>
    Effect.gen(function*() {
      const url = `${yield* start()}/a2a`
      const stream = yield* post(
        url,
        rpc("SendStreamingMessage", { ...request("hi"), metadata: { skillId: "echo" } }, "s")
      )
      assert.strictEqual(stream.headers.get("content-type"), "text/event-stream")
      assert.strictEqual(stream.headers.get("x-accel-buffering"), "no")
      const frames = (yield* Effect.promise(() => stream.text())).trim().split("\n\n")
      for (const frame of frames) {
        assert.match(frame, /^(id: \d+\n)?data: \{"jsonrpc":"2\.0","id":"s","result":\{.*\}\}$/u)
      }
      const { id } = JSON.parse(frames[0]?.split("data: ")[1] ?? "").result.task
      const refused = yield* refusal(yield* post(url, rpc("SubscribeToTask", { id })))
      assert.deepInclude(refused, { status: 200, code: -32004 })
    }).pipe(Effect.scoped))
})

describe("A stream", () => {
  const subscription = Effect.gen(function*() {
    const context = yield* Layer.build(layerRuntime())
    const url = `${yield* serve(mounted("a2a").pipe(Layer.provide(Layer.succeedContext(context))))}/a2a`
    const { body } = yield* post(url, rpc("SendStreamingMessage", request("wait")))
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader()
    let text = ""
    const read = Effect.map(Effect.promise(async () => reader?.read()), (next) => {
      text += next?.value ?? ""
      return next?.done !== false
    })
    while (!text.includes("Looking at your order")) yield* read
    return { runtime: yield* Effect.provideContext(Runtime.Runtime, context), read, seen: () => text }
  })

  it.effect("sends heartbeats", () =>
    Effect.gen(function*() {
      const { read, runtime, seen } = yield* subscription
      yield* TestClock.adjust("16 seconds")
      yield* read
      assert.isTrue(seen().endsWith("\n\n:\n\n"))
      yield* runtime.drain
      while (!(yield* read)) continue
    }).pipe(Effect.scoped))

  it.effect("ends when the server shuts down", () =>
    Effect.gen(function*() {
      const { read, runtime, seen } = yield* subscription
      yield* runtime.drain
      while (!(yield* read)) continue
      assert.notInclude(seen(), "error")
    }).pipe(Effect.scoped))
})

describe("The door", () => {
  const principal = (id: string) => new Principal.Principal({ id, tenant: "acme", scopes: [], roles: [], claims: {} })
  const keys = Auth.layerKeys([
    { key: Redacted.make("key-of-ann"), principal: principal("ann") },
    { key: Redacted.make("key-of-bob"), principal: principal("bob") }
  ])

  it.live("refuses every request of unknown callers", () =>
    Effect.gen(function*() {
      const url = `${yield* start(keys)}/a2a`
      const bodies = [
        "{",
        rpc("Nothing"),
        rpc("GetTask", {}),
        rpc("GetTask", { id: "x" }),
        rpc("SendMessage", request("hi"))
      ]
      for (const body of bodies) {
        for (const headers of [{}, { authorization: "Bearer wrong" }]) {
          const response = yield* post(url, body, headers)
          const bearer = "authorization" in headers ? "Bearer realm=\"agents\", error=\"invalid_token\"" : "Bearer"
          assert.strictEqual(response.headers.get("www-authenticate"), `${bearer}, ApiKey realm="agents"`)
          assert.deepInclude(yield* refusal(response), { status: 401, reason: "UNAUTHENTICATED" })
        }
      }
      const silent = yield* post(url, { jsonrpc: "2.0", method: "SendMessage", params: request("hi") })
      assert.strictEqual(silent.status, 401)
      const large = yield* post(url, rpc("SendMessage", request("x".repeat(2 ** 21))))
      assert.strictEqual(large.status, 401)
    }).pipe(Effect.scoped))

  it.live("answers the cards without credentials", () =>
    Effect.gen(function*() {
      const url = yield* start(keys)
      for (
        const path of [
          "/.well-known/agent-card.json",
          "/.well-known/agent.json",
          "/a2a/echo/.well-known/agent-card.json"
        ]
      ) {
        assert.strictEqual((yield* Effect.promise(() => fetch(`${url}${path}`))).status, 200)
      }
    }).pipe(Effect.scoped))

  it.live("shows a task to its owner only", () =>
    Effect.gen(function*() {
      const url = yield* start(keys)
      const ann = yield* connect(url, undefined, { authorization: "Bearer key-of-ann" })
      const bob = yield* connect(url, undefined, { "x-api-key": "key-of-bob" })
      const asked = yield* send(ann, "refund order 1042", { messageId: "same" })
      const { id } = asked
      const gone = { code: -32001, name: "TaskNotFoundError" }
      assert.include(yield* failing(() => bob.getTask({ tenant: "", id })), gone)
      assert.include(yield* failing(() => bob.cancelTask({ tenant: "", id, metadata: undefined })), gone)
      assert.include(yield* failing(() => bob.resubscribeTask({ tenant: "", id }).next()), gone)
      assert.include(yield* sendFails(bob, "yes", { taskId: id }), gone)
      assert.notStrictEqual((yield* send(bob, "refund order 1042", { messageId: "same" })).id, id)
      assert.strictEqual((yield* send(ann, "yes", { taskId: id })).status.state, "TASK_STATE_COMPLETED")
    }).pipe(Effect.scoped))
})
