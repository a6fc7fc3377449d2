import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, RateLimit, Run, Runtime } from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import { mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { connect, partsText, post, refusal, request, send, sendFails, start } from "./support.ts"

/** Has one field for each kind of part, and asks the question in `ask`. */
class Intake extends Agent.make("intake", {
  description: "Takes what a message can hold",
  payload: {
    note: Schema.String,
    scan: Schema.Uint8ArrayFromBase64,
    link: Schema.String.annotate({ format: "uri" }),
    count: Schema.Int
  },
  success: Schema.Struct({ note: Schema.String, bytes: Schema.Int, link: Schema.String, count: Schema.Int })
}) {}

class Survey extends Agent.make("survey", {
  description: "Asks two questions",
  payload: { first: Schema.String, second: Schema.String },
  success: Schema.String
}) {}

class Acme extends App.make("acme", { version: "1.0.0", title: "Acme", agents: [Intake, Survey] }) {}

const routes = mounted("a2a").pipe(
  Layer.provide(Runtime.layer(Acme, { grace: "100 millis" })),
  Layer.provide([
    Intake.toLayer(({ count, link, note, scan }) => Effect.succeed({ note, bytes: scan.length, link, count })),
    Survey.toLayer(Effect.fn(function*() {
      const name = yield* Effect.orDie(Run.interrupt("name", { schema: Schema.String }))
      const age = yield* Effect.orDie(Run.interrupt("age", { schema: Schema.Int }))
      return `${name}, ${age}`
    }))
  ]),
  Layer.provide(Layer.mergeAll(
    layerStores,
    Auth.layerNone,
    RateLimit.layerUnlimited,
    Budget.layerUnlimited
  ))
)

const sendParts = (url: string, parts: ReadonlyArray<unknown>) =>
  post(`${url}/a2a`, {
    jsonrpc: "2.0",
    id: 1,
    method: "SendMessage",
    params: { message: { ...request("").message, parts } }
  })

describe("A payload", () => {
  it.live("is assembled from the parts that its fields accept", () =>
    Effect.gen(function*() {
      const response = yield* sendParts(yield* serve(routes), [
        { data: { count: 1 } },
        { text: "one" },
        { raw: "AAEC", filename: "scan.png", mediaType: "image/png" },
        { text: "two", mediaType: "text/plain" },
        { data: { count: 2 }, mediaType: "application/json" },
        { url: "https://example.com/" }
      ])
      const body = JSON.stringify(yield* Effect.promise(() => response.json()))
      assert.include(body, JSON.stringify({ note: "one\ntwo", bytes: 3, link: "https://example.com/", count: 2 }))
    }).pipe(Effect.scoped))

  it.live("must fit the agent's schema", () =>
    Effect.gen(function*() {
      const url = yield* serve(routes)
      const missing = yield* refusal(yield* sendParts(url, [{ text: "one" }, { data: { count: "x" } }]))
      assert.deepInclude(missing, {
        status: 200,
        code: -32602,
        reason: "INVALID_PARAMS",
        fields: ["scan", "link", "count"]
      })
      const twice = yield* refusal(yield* sendParts(url, [{ text: "one" }, { data: { note: "two" } }]))
      assert.include(twice.message, "\"note\" is given twice")
      const list = yield* refusal(yield* sendParts(url, [{ data: [1] }]))
      assert.deepInclude(list, { code: -32602, fields: ["note", "scan", "link", "count"] })
    }).pipe(Effect.scoped))

  it.live("is not guessed from text when several fields could take it", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* serve(routes))
      const refused = yield* sendFails(client, "hello", { skill: "survey" })
      assert.strictEqual(refused.code, -32602)
      assert.include(refused.message, "\"survey\" wants first, second")
    }).pipe(Effect.scoped))

  it.live("is refused for an unknown skill", () =>
    Effect.gen(function*() {
      const refused = yield* sendFails(yield* connect(yield* start()), "hello", { skill: "nobody" })
      assert.include(refused, { code: -32602, message: "there is no skill \"nobody\" here, but echo, support" })
    }).pipe(Effect.scoped))

  it.live("is refused with a part for which the agent has no field", () =>
    Effect.gen(function*() {
      const url = yield* start()
      for (const part of [{ raw: "AAEC" }, { url: "https://example.com/" }, { text: "x", mediaType: "image/png" }]) {
        const refused = yield* refusal(yield* sendParts(url, [part]))
        assert.deepInclude(refused, { code: -32005, reason: "CONTENT_TYPE_NOT_SUPPORTED" })
      }
    }).pipe(Effect.scoped))
})

describe("An answer", () => {
  it.live("to a question for text is the text, to other questions a data part", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* serve(routes))
      const { contextId, id } = yield* send(client, { first: "a", second: "b" }, { skill: "survey" })
      const named = yield* send(client, "No", { taskId: id, contextId })
      assert.strictEqual(named.status.state, "TASK_STATE_INPUT_REQUIRED")
      assert.include(yield* sendFails(client, "forty", { taskId: id }), { code: -32602 })
      assert.include(yield* sendFails(client, { decision: "perhaps" }, { taskId: id }), { code: -32602 })
      assert.include(yield* sendFails(client, { decision: "approve", value: "x" }, { taskId: id }), { code: -32602 })
      assert.include(yield* sendFails(client, { decision: "approve", value: 40 }, { taskId: id, contextId: "other" }), {
        code: -32602
      })
      const done = yield* send(client, { decision: "approve", value: 40 }, { taskId: id })
      assert.strictEqual(partsText(done.artifacts?.[0]), "No, 40")
    }).pipe(Effect.scoped))

  it.live("continues a suspended task, whose history has the question", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const asked = yield* send(client, "refund order 1042")
      assert.strictEqual(asked.status.state, "TASK_STATE_INPUT_REQUIRED")
      const [text, question] = asked.status.message?.parts ?? []
      assert.deepStrictEqual(text, { text: "Pay it back?" })
      assert.deepInclude(question?.data, { name: "refund", kind: "input", arguments: { orderId: 1042 } })
      const done = yield* send(client, { decision: "approve", value: true }, { taskId: asked.id })
      assert.strictEqual(done.status.state, "TASK_STATE_COMPLETED")
      assert.strictEqual(partsText(done.artifacts?.[0]), "Looking at your order… Done.")
      assert.deepInclude(done.artifacts?.[1]?.parts[0]?.data, { answer: "refunded" })
    }).pipe(Effect.scoped))

  it.live("that names its question may be repeated", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const asked = yield* send(client, "refund order 1042")
      const question = Object(asked.status.message?.parts[1]?.data)
      const answer = { id: question.id, decision: "approve", value: false }
      const done = yield* send(client, answer, { taskId: asked.id })
      assert.deepInclude(done.artifacts?.[1]?.parts[0]?.data, { answer: "not refunded" })
      assert.deepStrictEqual(yield* send(client, answer, { taskId: asked.id }), done)
      const other = { ...answer, value: true }
      assert.include(yield* sendFails(client, other, { taskId: asked.id }), { code: -32004 })
    }).pipe(Effect.scoped))

  it.live("to a task without a question is refused", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const ended = yield* send(client, "hello", { skill: "echo" })
      const unsupported = { code: -32004, name: "UnsupportedOperationError" }
      assert.include(yield* sendFails(client, "more", { taskId: ended.id }), unsupported)
      const running = yield* send(client, "wait", { configuration: { returnImmediately: true } })
      assert.include(yield* sendFails(client, { more: 1 }, { taskId: running.id }), unsupported)
    }).pipe(Effect.scoped))
})
