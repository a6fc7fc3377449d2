import { assert, describe, it } from "@effect/vitest"
import { Caller, Runtime } from "@fastagentic/core"
import { Effect, Layer } from "effect"
import { layerRuntime, mounted, serve } from "../fixture.ts"
import {
  cancelTask,
  collect,
  connect,
  failing,
  getTask,
  partsText,
  send,
  sendFails,
  sendStream,
  start,
  taskOf
} from "./support.ts"

const answer = { answer: "Order 1042 is shipped.", orders: [{ id: 1042, state: "shipped", amount: 42.5 }] }

describe("SendMessage", () => {
  it.live("answers with the task of a run that has ended", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const task = yield* send(client, "one two three", { skill: "echo", messageId: "first" })
      assert.strictEqual(task.status.state, "TASK_STATE_COMPLETED")
      assert.deepStrictEqual(task.artifacts, [{ artifactId: "output", parts: [{ text: "one two three " }] }])
      assert.deepStrictEqual(task.history, [{
        messageId: "first",
        role: "ROLE_USER",
        parts: [{ text: "one two three" }],
        taskId: task.id,
        contextId: task.contextId
      }])
    }).pipe(Effect.scoped))

  it.live("reaches the first durable agent when no skill is named", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const task = yield* send(client, "Where is order 1042?")
      assert.deepStrictEqual(task.metadata, { skillId: "support" })
      assert.deepStrictEqual(task.artifacts, [
        { artifactId: "text", parts: [{ text: "Looking at your order… " }] },
        { artifactId: "output", parts: [{ data: answer }] }
      ])
    }).pipe(Effect.scoped))

  it.live("accepts the payload as a data part", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const task = yield* send(client, { question: "Where is order 1042?" })
      assert.deepStrictEqual(task.artifacts?.[1]?.parts, [{ data: answer }])
    }).pipe(Effect.scoped))

  it.live("answers with a declared error and its type", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const task = yield* send(client, "Where is order 2042?")
      assert.strictEqual(task.status.state, "TASK_STATE_FAILED")
      assert.deepStrictEqual(task.status.message?.parts[1], { data: { _tag: "OrderNotFound", orderId: 2042 } })
    }).pipe(Effect.scoped))

  it.live("reveals nothing about a defect", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const task = yield* send(client, "crash")
      assert.strictEqual(task.status.state, "TASK_STATE_FAILED")
      assert.deepStrictEqual(task.status.message?.parts, [{
        text: "The server failed unexpectedly. Its log has the cause under the trace id."
      }, {
        data: { _tag: "InternalError" }
      }])
      assert.notInclude(JSON.stringify(yield* getTask(client, task.id)), "postgres")
    }).pipe(Effect.scoped))

  it.live("serves an agent alone on its path", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const echo = yield* connect(`${url}/a2a/echo/.well-known/agent-card.json`, "")
      const task = yield* send(echo, "hello")
      assert.strictEqual(partsText(task.artifacts?.[0]), "hello ")
      const support = yield* connect(`${url}/a2a/support/.well-known/agent-card.json`, "")
      assert.include(yield* failing(() => support.getTask({ tenant: "", id: task.id })), { code: -32001 })
      assert.include(yield* sendFails(echo, "hello", { skill: "support" }), { code: -32602 })
    }).pipe(Effect.scoped))

  it.live("keeps the client's context, and creates one otherwise", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const task = yield* send(client, "hello", { skill: "echo", contextId: "conversation" })
      assert.strictEqual(task.contextId, "conversation")
      const other = yield* send(client, "hello", { skill: "echo" })
      assert.match(other.contextId, /^[0-9a-f-]{36}$/u)
      assert.notStrictEqual(other.contextId, other.id)
    }).pipe(Effect.scoped))

  it.live("does not wait with returnImmediately", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const task = yield* send(client, "wait", { configuration: { returnImmediately: true, historyLength: 0 } })
      assert.notInclude(["TASK_STATE_COMPLETED", "TASK_STATE_FAILED"], task.status.state)
      assert.isUndefined(task.history)
      yield* cancelTask(client, task.id)
    }).pipe(Effect.scoped))

  it.live("recognises a repeated message", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const first = yield* send(client, "Where is order 1042?", { messageId: "same" })
      assert.deepStrictEqual(yield* send(client, "Where is order 1042?", { messageId: "same" }), first)
      const updates = yield* collect(sendStream(client, "Where is order 1042?", { messageId: "same" }))
      assert.strictEqual(taskOf(updates).id, first.id)
      assert.strictEqual(taskOf(updates).contextId, first.contextId)
      const now = { messageId: "same", configuration: { returnImmediately: true } }
      assert.deepStrictEqual(yield* send(client, "Where is order 1042?", now), first)
      const conflict = yield* sendFails(client, "Where is order 1043?", { messageId: "same" })
      assert.include(conflict.message, "has used this idempotency key with another input")
      assert.notStrictEqual((yield* send(client, "Where is order 1042?", { messageId: "other" })).id, first.id)
    }).pipe(Effect.scoped))
})

describe("GetTask", () => {
  it.live("answers with the requested length of history", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const suspended = yield* send(client, "refund order 1042")
      const { contextId, id } = yield* send(client, "yes", { taskId: suspended.id })
      const task = yield* getTask(client, id)
      assert.deepStrictEqual(task.history?.map(({ parts, role }) => [role, parts.length]), [
        ["ROLE_USER", 1],
        ["ROLE_AGENT", 2],
        ["ROLE_USER", 1]
      ])
      assert.isTrue(task.history?.every((message) => message.taskId === id && message.contextId === contextId))
      assert.deepStrictEqual((yield* getTask(client, id, 1)).history, task.history?.slice(-1))
      assert.deepStrictEqual((yield* getTask(client, id, 99)).history, task.history)
      assert.isUndefined((yield* getTask(client, id, 0)).history)
    }).pipe(Effect.scoped))

  it.live("refuses an unknown task", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const gone = { code: -32001, name: "TaskNotFoundError" }
      assert.include(yield* failing(() => client.getTask({ tenant: "", id: "none" })), gone)
      assert.include(yield* failing(() => client.cancelTask({ tenant: "", id: "none", metadata: undefined })), gone)
      assert.include(yield* failing(() => client.resubscribeTask({ tenant: "", id: "none" }).next()), gone)
      assert.include(yield* sendFails(client, "yes", { taskId: "none" }), gone)
    }).pipe(Effect.scoped))
})

describe("CancelTask", () => {
  it.live("cancels the run", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(layerRuntime())
      const url = yield* serve(mounted("a2a").pipe(Layer.provide(Layer.succeedContext(context))))
      const runtime = yield* Effect.provideContext(Runtime.Runtime, context)
      const client = yield* connect(url)
      const { id } = yield* send(client, "wait", { configuration: { returnImmediately: true } })
      assert.strictEqual((yield* runtime.get(Caller.make("local"), id)).state, "running")
      assert.strictEqual((yield* cancelTask(client, id)).status.state, "TASK_STATE_CANCELED")
      assert.strictEqual((yield* runtime.get(Caller.make("local"), id)).state, "cancelled")
      assert.strictEqual((yield* cancelTask(client, id)).status.state, "TASK_STATE_CANCELED")
    }).pipe(Effect.scoped))

  it.live("refuses a task that has ended", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const { id } = yield* send(client, "hello", { skill: "echo" })
      assert.include(yield* failing(() => client.cancelTask({ tenant: "", id, metadata: undefined })), {
        code: -32002,
        name: "TaskNotCancelableError"
      })
    }).pipe(Effect.scoped))
})
