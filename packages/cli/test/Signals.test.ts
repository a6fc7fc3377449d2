import { NodeWS } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Client } from "@fastagentic/protocols/http"
import { Effect, Layer, Redacted, Schema } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { Agent, App, Auth, Principal, Run } from "fastagentic"
import { once } from "node:events"
import { join } from "node:path"
import { temporaryFolder } from "./process.ts"
import { onSqlite } from "./serving.ts"

class Writer extends Agent.make("writer", {
  description: "Writes what it is told until it is told to stop",
  payload: {},
  scopes: ["write"],
  signals: { steer: Schema.String }
}) {}
class Sums extends Agent.make("sums", {
  description: "Adds two amounts",
  payload: {},
  signals: { add: Schema.Struct({ amount: Schema.Finite }), other: Schema.String }
}) {}
class Pays extends Agent.make("pays", {
  description: "Pays an amount after another person has agreed",
  payload: {},
  signals: { amount: Schema.Finite }
}) {}
class Confirms extends Agent.make("confirms", { description: "Asks another person", payload: {} }) {}
class Orders extends Agent.make("orders", {
  description: "Has an order confirmed by another agent",
  payload: {},
  signals: { hint: Schema.String }
}) {}
class Acme extends App.make("acme", { version: "1", agents: [Writer, Sums, Pays, Confirms, Orders] }) {}

const handlers = Layer.mergeAll(
  Writer.toLayer(Effect.fn(function*() {
    const said: Array<string> = []
    for (let wish = yield* Run.receive(Writer, "steer"); wish !== "stop"; wish = yield* Run.receive(Writer, "steer")) {
      said.push(wish)
    }
    return said.join(" ")
  })),
  Sums.toLayer(Effect.fn(function*() {
    const one = yield* Run.receive(Sums, "add")
    const two = yield* Run.receive(Sums, "add")
    return String(one.amount + two.amount)
  })),
  Pays.toLayer(Effect.fn(function*() {
    const amount = yield* Run.receive(Pays, "amount")
    yield* Effect.orDie(Run.interrupt("pay", { schema: Schema.Boolean, notRequester: true }))
    return `paid ${amount}`
  })),
  Confirms.toLayer(Effect.fn(function*() {
    yield* Effect.orDie(Run.interrupt("confirm", { schema: Schema.Boolean, notRequester: true }))
    return "confirmed"
  })),
  Orders.toLayer(() => Effect.orDie(Run.delegate(Confirms, {})))
)

const person = (id: string, tenant: string, scopes: ReadonlyArray<string>) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant, scopes, roles: [], claims: {} })
})

const people = Auth.layerKeys([
  person("ann", "acme", ["write"]),
  person("bob", "acme", ["write"]),
  person("sue", "acme", ["runs:act:tenant"]),
  person("tom", "acme", ["runs:act:tenant"]),
  person("eve", "other", ["*"])
])

const serve = (filename: string) => onSqlite(Acme, handlers, filename, { auth: people })

const file = () => join(temporaryFolder(), "acme.db")

const Body = Schema.Record(Schema.String, Schema.Json)

const send = (method: string, url: string, body?: unknown, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method,
      headers: { "content-type": "application/json", "x-api-key": "key-of-ann", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await response.text()
    return { status: response.status, body: Schema.decodeUnknownSync(Body)(JSON.parse(text)) }
  })

const start = (url: string, agent: string) =>
  Effect.map(send("POST", `${url}/agents/${agent}/runs`, {}), ({ body }) => String(body["runId"]))

const steer = (url: string, runId: string, payload: unknown, headers: Record<string, string> = {}) =>
  send("POST", `${url}/runs/${runId}/signals/steer`, payload, headers)

const until = Effect.fnUntraced(function*(url: string, runId: string, state: string) {
  while (true) {
    const { body } = yield* send("GET", `${url}/runs/${runId}`)
    if (body["state"] === state) return body
    yield* Effect.sleep("20 millis")
  }
})

describe("messages to a run, over a socket on SQLite", () => {
  it.live("come in order and once, over a restart, and only to who may send them", () =>
    Effect.gen(function*() {
      const filename = file()
      const first = yield* serve(filename)
      const runId = yield* start(first.url, "writer")
      const sent = yield* steer(first.url, runId, "one", { "idempotency-key": "1" })
      assert.strictEqual(sent.status, 202)
      assert.strictEqual(sent.body["runId"], runId)
      assert.strictEqual((yield* steer(first.url, runId, "one", { "idempotency-key": "1" })).status, 202)
      assert.strictEqual((yield* steer(first.url, runId, "else", { "idempotency-key": "1" })).status, 409)
      yield* steer(first.url, runId, "two")
      assert.strictEqual((yield* until(first.url, runId, "suspended"))["waitsFor"], "signal")
      yield* first.stop
      const { url } = yield* serve(filename)
      assert.strictEqual((yield* steer(url, runId, "one", { "idempotency-key": "1" })).status, 202)
      yield* steer(url, runId, "three")
      const statuses = yield* Effect.all([
        steer(url, runId, 7),
        send("POST", `${url}/runs/${runId}/signals/none`, "x"),
        steer(url, runId, "x", { "x-api-key": "key-of-bob" }),
        steer(url, runId, "x", { "x-api-key": "key-of-eve" }),
        steer(url, runId, "x", { "x-api-key": "nobody" })
      ])
      assert.deepStrictEqual(statuses.map(({ status }) => status), [400, 404, 404, 404, 401])
      yield* steer(url, runId, "stop")
      assert.strictEqual((yield* until(url, runId, "completed"))["output"], "one two three")
      assert.strictEqual((yield* steer(url, runId, "late")).status, 409)
    }).pipe(Effect.scoped), 20_000)

  it.live("come over WebSocket, A2A and the typed client", () =>
    Effect.gen(function*() {
      const { url } = yield* serve(file())
      const runId = yield* start(url, "writer")
      yield* until(url, runId, "suspended")
      yield* Effect.promise(async () => {
        const socket = new NodeWS.WebSocket(`${url.replace("http", "ws")}/ws`, {
          headers: { "x-api-key": "key-of-ann" }
        })
        await once(socket, "open")
        socket.send(JSON.stringify({ id: "1", op: "signal", runId, name: "steer", payload: "socket" }))
        const [frame] = await once(socket, "message")
        socket.close()
        assert.include(String(frame), "\"type\":\"result\"")
      })
      const message = (messageId: string, parts: unknown, metadata?: unknown) => ({
        jsonrpc: "2.0",
        id: 1,
        method: "SendMessage",
        params: {
          message: { messageId, taskId: runId, role: "ROLE_USER", parts, metadata },
          configuration: { returnImmediately: true }
        }
      })
      const a2a = (body: unknown) => send("POST", `${url}/a2a/writer`, body, { "a2a-version": "1.0" })
      yield* until(url, runId, "suspended")
      const task = yield* a2a({ jsonrpc: "2.0", id: 1, method: "GetTask", params: { id: runId } })
      assert.include(JSON.stringify(task.body), "TASK_STATE_INPUT_REQUIRED")
      for (let time = 0; time < 2; time++) {
        assert.notProperty((yield* a2a(message("m1", [{ text: "task" }]))).body, "error")
      }
      assert.notProperty((yield* a2a(message("m2", [{ data: "named" }], { signal: "steer" }))).body, "error")
      assert.property((yield* a2a(message("m3", [{ text: "x" }], { signal: "none" }))).body, "error")
      yield* Effect.gen(function*() {
        const { runs } = yield* Client.make(Acme, {
          url,
          credentials: { apiKey: Redacted.make("key-of-ann") }
        })
        yield* runs.signal(runId, "steer", "client")
        yield* runs.signal(runId, "steer", "stop")
      }).pipe(Effect.provide(FetchHttpClient.layer))
      assert.strictEqual((yield* until(url, runId, "completed"))["output"], "socket task named client")
    }).pipe(Effect.scoped), 20_000)

  it.live("carry values of their schema, and are no questions", () =>
    Effect.gen(function*() {
      const { url } = yield* serve(file())
      const runId = yield* start(url, "sums")
      const add = (amount: unknown) => send("POST", `${url}/runs/${runId}/signals/add`, { amount })
      assert.strictEqual((yield* add("much")).status, 400)
      yield* add(1.5)
      yield* until(url, runId, "suspended")
      assert.deepStrictEqual((yield* send("GET", `${url}/runs/${runId}/interrupts`)).body["items"], [])
      assert.deepStrictEqual((yield* send("GET", `${url}/interrupts`)).body["items"], [])
      const { body } = yield* send("GET", `${url}/runs/${runId}/events?after=0`, undefined, {
        accept: "application/json"
      })
      assert.include(JSON.stringify(body), "\"type\":\"signal_received\"")
      yield* add(2)
      assert.strictEqual((yield* until(url, runId, "completed"))["output"], "3.5")
      const document = yield* send("GET", `${url}/openapi.json`)
      assert.property(Object(document.body["paths"]), "/runs/{runId}/signals/{name}")
    }).pipe(Effect.scoped), 20_000)

  it.live("make their sender a cause of the run, who may not approve in it", () =>
    Effect.gen(function*() {
      const { url } = yield* serve(file())
      const runId = yield* start(url, "pays")
      const sent = yield* send("POST", `${url}/runs/${runId}/signals/amount`, 7, { "x-api-key": "key-of-sue" })
      assert.strictEqual(sent.status, 202)
      yield* until(url, runId, "suspended")
      const asked = Schema.decodeUnknownSync(Schema.Struct({ items: Schema.Array(Body) }))(
        (yield* send("GET", `${url}/runs/${runId}/interrupts`, undefined, { "x-api-key": "key-of-tom" })).body
      )
      const path = `${url}/runs/${runId}/interrupts/${String(asked.items[0]?.["id"])}`
      const answer = (who: string) =>
        send("POST", path, { decision: "approve", value: true }, { "x-api-key": `key-of-${who}` })
      assert.deepStrictEqual([(yield* answer("ann")).status, (yield* answer("sue")).status], [403, 403])
      assert.isBelow((yield* answer("tom")).status, 300)
      assert.strictEqual((yield* until(url, runId, "completed"))["output"], "paid 7")
    }).pipe(Effect.scoped), 20_000)

  it.live("make their sender a cause of the runs that the run waits for", () =>
    Effect.gen(function*() {
      const { url } = yield* serve(file())
      const runId = yield* start(url, "orders")
      yield* until(url, runId, "suspended")
      const pending = (who: string) =>
        Effect.map(send("GET", `${url}/interrupts`, undefined, { "x-api-key": `key-of-${who}` }), ({ body }) =>
          Schema.decodeUnknownSync(Schema.Array(Body))(body["items"]))
      assert.strictEqual((yield* pending("sue")).length, 1)
      const sent = yield* send("POST", `${url}/runs/${runId}/signals/hint`, "all is fine", {
        "x-api-key": "key-of-sue"
      })
      assert.strictEqual(sent.status, 202)
      assert.deepStrictEqual(yield* pending("sue"), [])
      const [asked] = yield* pending("tom")
      const child = String(asked?.["runId"])
      assert.notStrictEqual(child, runId)
      const path = `${url}/runs/${child}/interrupts/${String(asked?.["id"])}`
      const answer = (who: string) =>
        send("POST", path, { decision: "approve", value: true }, { "x-api-key": `key-of-${who}` })
      assert.deepStrictEqual([(yield* answer("ann")).status, (yield* answer("sue")).status], [403, 403])
      assert.isBelow((yield* answer("tom")).status, 300)
      assert.strictEqual((yield* until(url, runId, "completed"))["output"], "confirmed")
    }).pipe(Effect.scoped), 20_000)
})
