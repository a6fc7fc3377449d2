import { assert, describe, it } from "@effect/vitest"
import { Auth, Principal } from "@fastagentic/core"
import { AppRpc } from "@fastagentic/protocols/rpc"
import { Effect, Exit, Fiber, Layer, Redacted, Scope, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as RpcClient from "effect/rpc/RpcClient"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Socket from "effect/socket/Socket"
import { Acme, layerRuntime, mounted, serve } from "../fixture.ts"
import { connect, post } from "./wire.ts"

const start = serve(mounted("rest", "rpc").pipe(Layer.provide(layerRuntime())))

const group = AppRpc.make(Acme)
type Client = RpcClient.RpcClient<RpcGroup.Rpcs<typeof group>, RpcClientError>

const clientBy = (protocol: Layer.Layer<RpcClient.Protocol>) =>
  Effect.flatMap(Layer.build(protocol), (context) => Effect.provideContext(RpcClient.make(group), context))

const transports = {
  HTTP: (url: string) => Layer.provide(AppRpc.layerHttp({ url }), FetchHttpClient.layer),
  WebSocket: (url: string) => Layer.provide(AppRpc.layerWebSocket({ url }), Socket.layerWebSocketConstructorGlobal)
}

for (const [name, protocol] of Object.entries(transports)) {
  describe(`The calls of an app over ${name}`, () => {
    const client = Effect.flatMap(start, (url) => clientBy(protocol(url)))

    it.live("give typed answers of agents, tools, resources and prompts", () =>
      Effect.gen(function*() {
        const call: Client = yield* client
        assert.strictEqual(yield* call["agents/echo"]({ text: "one two" }), "one two ")
        assert.deepStrictEqual(yield* call["agents/support"]({ question: "order 1042" }), {
          answer: "Order 1042 is shipped.",
          orders: [{ id: 1042, state: "shipped", amount: 42.5 }]
        })
        assert.deepInclude(yield* call["tools/find_order"]({ orderId: 1042 }), { state: "shipped" })
        assert.strictEqual(yield* call["resources/handbook"]({ topic: "returns" }), "# Returns\n30 days.")
        assert.deepInclude((yield* call["prompts/triage"]({ severity: "low" }))[0], { role: "user" })
      }).pipe(Effect.scoped))

    it.live("fail with the declared error, and with what the client of REST fails with", () =>
      Effect.gen(function*() {
        const call: Client = yield* client
        const declared = yield* Effect.flip(call["agents/support"]({ question: "order 7" }))
        assert.deepInclude(declared, { _tag: "OrderNotFound", orderId: 7 })
        const page = yield* Effect.flip(call["resources/handbook"]({ topic: "none" }))
        assert.strictEqual(page._tag, "PageNotFound")
        const crash = yield* Effect.flip(call["agents/support"]({ question: "crash" }))
        assert(crash._tag === "ClientError")
        assert.deepInclude(crash.reason, { _tag: "RunFailed", tag: "InternalError", status: 500 })
        assert.notInclude(JSON.stringify(crash), "secret")
        const unknown = yield* Effect.flip(call["runs/get"]({ runId: "none" }))
        assert(unknown._tag === "ClientError")
        assert.strictEqual(unknown.reason._tag, "RunNotFound")
        const missing = yield* Effect.flip(call["runs/list"]({ after: "none" }))
        assert(missing._tag === "ClientError")
        assert.strictEqual(missing.reason._tag, "InvalidCursor")
      }).pipe(Effect.scoped))

    it.live("stream the journal of a run, and fail as it does", () =>
      Effect.gen(function*() {
        const call: Client = yield* client
        const events = yield* Stream.runCollect(call["agents/echo/stream"]({ text: "a b c" }))
        assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1))
        assert.strictEqual(events.at(-1)?.type, "done")
        const { runId = "" } = events[0] ?? {}
        const rest = yield* Stream.runCollect(call["runs/events"]({ runId, after: 2 }))
        assert.deepStrictEqual(rest, events.slice(2))
        const failed = yield* Effect.flip(Stream.runDrain(call["agents/support/stream"]({ question: "order 7" })))
        assert.strictEqual(failed._tag, "OrderNotFound")
      }).pipe(Effect.scoped))

    it.live("ask for a decision and continue with it", () =>
      Effect.gen(function*() {
        const call: Client = yield* client
        const asked = yield* Effect.flip(call["agents/support"]({ question: "refund order 1042" }))
        assert(asked._tag === "RunSuspended")
        const { interrupts: [question], run: { runId } } = asked
        assert.deepInclude(question, { name: "refund", message: "Pay it back?" })
        assert.strictEqual((yield* call["runs/pending"]({})).items[0]?.runId, runId)
        const answered = { runId, interruptId: question?.id ?? "", decision: "approve", value: true } as const
        yield* call["runs/answer"](answered)
        const events = yield* Stream.runCollect(call["runs/events"]({ runId }))
        assert.deepInclude(events.at(-1)?.data, { output: { answer: "refunded", orders: [order] } })
        assert.deepInclude(yield* call["runs/get"]({ runId }), { state: "completed" })
        const late = yield* Effect.flip(call["runs/answer"]({ ...answered, decision: "deny" }))
        assert(late._tag === "ClientError")
        assert.strictEqual(late.reason._tag, "InterruptResolved")
      }).pipe(Effect.scoped))

    it.live("are the same run under one idempotency key, and a client that leaves ends no run", () =>
      Effect.gen(function*() {
        const call: Client = yield* client
        const headers = { "idempotency-key": "once", "x-thread-id": "thread-1" }
        const waiting = yield* Effect.forkChild(call["agents/support"]({ question: "wait" }, { headers }))
        const run = yield* call["agents/support/runs"]({ question: "wait" }, { headers })
        assert.strictEqual(run.threadId, "thread-1")
        yield* Fiber.interrupt(waiting)
        assert.strictEqual((yield* call["runs/get"]({ runId: run.runId })).state, "running")
        assert.strictEqual((yield* call["runs/list"]({ threadId: "thread-1" })).items.length, 1)
        const again = yield* Effect.forkChild(call["agents/support"]({ question: "wait" }, { headers }))
        yield* Effect.sleep("20 millis")
        yield* call["runs/cancel"]({ runId: run.runId, reason: "enough" })
        const ended = yield* Effect.flip(Fiber.join(again))
        assert(ended._tag === "ClientError")
        assert.deepInclude(ended.reason, { _tag: "RunFailed", tag: "RunCancelled" })
        const other = yield* Effect.flip(call["agents/support"]({ question: "else" }, { headers }))
        assert(other._tag === "ClientError")
        assert.strictEqual(other.reason._tag, "IdempotencyConflict")
      }).pipe(Effect.scoped))

    it.live("end with ShuttingDown when the server stops, and name the run that goes on", () =>
      Effect.gen(function*() {
        const server = yield* Scope.make()
        const call: Client = yield* clientBy(protocol(yield* Scope.provide(start, server)))
        const waiting = yield* Effect.forkChild(call["agents/support"]({ question: "wait" }))
        const stream = yield* Effect.forkChild(Stream.runDrain(call["agents/support/stream"]({ question: "wait" })))
        while ((yield* call["runs/list"]({ state: "running" })).items.length < 2) yield* Effect.sleep("20 millis")
        yield* Scope.close(server, Exit.void)
        for (const fiber of [waiting, stream]) {
          const error = yield* Effect.flip(Fiber.join<unknown, unknown>(fiber))
          assert.deepInclude(error, { _tag: "ClientError" })
          assert.match(JSON.stringify(error), /"ShuttingDown".*"runId":"[0-9a-f-]{36}"/u)
        }
      }).pipe(Effect.scoped))

    it.live("refuse a payload that a client did not check", () =>
      Effect.gen(function*() {
        const url = yield* start
        const wide = yield* clientBy(protocol(url))
        // cast: a client of other declarations sends what these do not allow.
        const send = wide["agents/echo"] as unknown as (payload: unknown) => Effect.Effect<string, unknown>
        const refused = yield* Effect.exit(send({ text: 1 }))
        assert.strictEqual(refused._tag, "Failure")
        const [line] = yield* post(url, [request("1", "agents/echo", { text: 1 })])
        assert.include(JSON.stringify(line), "InvalidPayload")
        const [fixed] = yield* post(url, [request("1", "runs/get", { runId: 1 })])
        assert.include(JSON.stringify(fixed), "InvalidPayload")
      }).pipe(Effect.scoped))
  })
}

const order = { id: 1042, state: "shipped", amount: 42.5 }

const request = (id: string, tag: string, payload: unknown) => ({ _tag: "Request", id, tag, payload, headers: [] })

const layerAuth = Auth.layerKeys(["ann", "bob"].map((id) => ({
  key: Redacted.make(id),
  principal: new Principal.Principal({ id, tenant: id, scopes: ["*"], roles: [], claims: {} })
})))

describe("The door of the calls", () => {
  const guarded = serve(mounted("rest", "rpc").pipe(Layer.provide(layerRuntime(layerAuth))))

  it.live("takes nothing without credentials, over HTTP and at the handshake", () =>
    Effect.gen(function*() {
      const url = yield* guarded
      const bare = yield* Effect.promise(() => fetch(`${url}/rpc`, { method: "POST", body: "{}" }))
      assert.strictEqual(bare.status, 401)
      assert.strictEqual(bare.headers.get("www-authenticate")?.startsWith("Bearer"), true)
      assert.deepStrictEqual(yield* Effect.flip(connect(url)), { status: 401 })
      // Headers of a message are no credentials of a connection.
      const inside = yield* Effect.promise(() =>
        fetch(`${url}/rpc`, {
          method: "POST",
          body: JSON.stringify({ ...request("1", "runs/list", {}), headers: [["authorization", "Bearer ann"]] })
        })
      )
      assert.strictEqual(inside.status, 401)
    }).pipe(Effect.scoped))

  it.live("shows no run of another tenant, whatever the headers of a message say", () =>
    Effect.gen(function*() {
      const url = yield* guarded
      const as = (name: string) =>
        clientBy(Layer.provide(
          AppRpc.layerHttp({ url, credentials: { bearer: Redacted.make(name) } }),
          FetchHttpClient.layer
        ))
      const ann = yield* as("ann")
      const bob = yield* as("bob")
      const { runId } = yield* ann["agents/support/runs"]({ question: "refund order 1042" })
      for (
        const foreign of [
          bob["runs/get"]({ runId }),
          bob["runs/get"]({ runId }, { headers: { authorization: "Bearer ann" } }),
          bob["runs/cancel"]({ runId }),
          bob["runs/interrupts"]({ runId }),
          Stream.runDrain(bob["runs/events"]({ runId }))
        ]
      ) {
        const refused = yield* Effect.flip(foreign)
        assert(refused._tag === "ClientError")
        assert.strictEqual(refused.reason._tag, "RunNotFound")
      }
      assert.deepStrictEqual((yield* bob["runs/list"]({})).items, [])
      const late = yield* Effect.flip(
        (yield* clientBy(Layer.provide(AppRpc.layerHttp({ url }), FetchHttpClient.layer)))["runs/list"]({})
      )
      assert.strictEqual(late._tag, "RpcClientError")
    }).pipe(Effect.scoped))
})

describe("A client that is no client", () => {
  it.live("gets a refusal for what is no message, and the server stays", () =>
    Effect.gen(function*() {
      const url = yield* start
      const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`
      const bodies = [
        "",
        "{",
        "null",
        "[]",
        JSON.stringify({ _tag: "Nope" }),
        JSON.stringify({ _tag: "Request", id: "1", tag: "runs/list", payload: {}, headers: "x" }),
        JSON.stringify({ _tag: "Request", id: {}, tag: "runs/list", payload: {}, headers: [] }),
        JSON.stringify(request("1", "constructor", {})),
        JSON.stringify(request("1", "__proto__", {})),
        `{"_tag":"Request","id":"1","tag":"agents/echo","headers":[],"payload":{"text":${deep}}}`
      ]
      for (const body of bodies) {
        const answer = yield* Effect.promise(() => fetch(`${url}/rpc`, { method: "POST", body }))
        const text = yield* Effect.promise(() => answer.text())
        assert.notInclude(text, "node_modules", body.slice(0, 80))
        const socket = yield* connect(url)
        socket.send(`${body}\n`)
        socket.send(`${JSON.stringify({ _tag: "Ping" })}\n`)
        yield* socket.until("Pong")
      }
      const large = yield* Effect.promise(() => fetch(`${url}/rpc`, { method: "POST", body: "x".repeat(1_048_577) }))
      assert.strictEqual(large.status, 413)
      const socket = yield* connect(url)
      socket.send("x".repeat(1_048_577))
      assert.strictEqual((yield* socket.closed).code, 1009)
      assert.include(JSON.stringify(yield* post(url, [request("1", "agents/echo", { text: "well" })])), "well ")
    }).pipe(Effect.scoped))

  it.live("starts nothing by a call that the app does not have, and reads no inner object", () =>
    Effect.gen(function*() {
      const url = yield* start
      const forged = JSON.stringify(
        yield* post(url, [request("1", "undeclared", "agents/support"), request("2", "undeclared", "tools/find_order")])
      )
      assert.strictEqual(forged.split("The server has no such call.").length, 3, forged)
      assert.notInclude(forged, "principal")
    }).pipe(Effect.scoped))

  it.live("gets a typed error for a parameter that no address can have", () =>
    Effect.gen(function*() {
      const url = yield* start
      const answer = JSON.stringify(yield* post(url, [request("1", "resources/handbook", { topic: "\ud800" })]))
      assert.notInclude(answer, "URIError")
      assert.include(answer, "ClientError")
    }).pipe(Effect.scoped))

  it.live("refuses the id of an open call, and the connection and its calls go on", () =>
    Effect.gen(function*() {
      const url = yield* start
      const twice = [request("1", "agents/echo", { text: "one" }), request("1", "agents/echo", { text: "two" })]
      const refused = JSON.stringify(yield* post(url, twice))
      assert.include(refused, "cannot be used again")
      const socket = yield* connect(url)
      const send = (message: unknown) => socket.send(`${JSON.stringify(message)}\n`)
      send(request("1", "agents/support", { question: "wait" }))
      send(request("1", "agents/echo", { text: "again" }))
      yield* socket.until("cannot be used again")
      send(request("2", "agents/echo", { text: "other" }))
      yield* socket.until("other ")
      send({ _tag: "Interrupt", requestId: "1" })
      yield* socket.until(`"requestId":"1"`)
      send(request("1", "agents/echo", { text: "free" }))
      yield* socket.until("free ")
    }).pipe(Effect.scoped))

  it.live("has a bounded number of open calls on a connection", () =>
    Effect.gen(function*() {
      const url = yield* start
      const socket = yield* connect(url)
      const calls = Array.from({ length: 300 }, (_, index) => ({
        ...request(String(index), "agents/support", { question: "wait" }),
        headers: [["idempotency-key", "same"]]
      }))
      for (const call of calls) socket.send(`${JSON.stringify(call)}\n`)
      const refused = yield* socket.until("TooManyOpen")
      assert.include(refused, `"limit":256`)
      socket.send(`${JSON.stringify({ _tag: "Interrupt", requestId: "0" })}\n`)
      yield* Effect.sleep("50 millis")
      socket.send(`${JSON.stringify(request("more", "agents/echo", { text: "free" }))}\n`)
      yield* socket.until("free ")
    }).pipe(Effect.scoped))

  it.live("finds other methods refused, and no upgrade where none is asked for", () =>
    Effect.gen(function*() {
      const url = yield* start
      assert.strictEqual((yield* Effect.promise(() => fetch(`${url}/rpc`))).status, 426)
      assert.strictEqual((yield* Effect.promise(() => fetch(`${url}/rpc`, { method: "DELETE" }))).status, 405)
    }).pipe(Effect.scoped))
})
