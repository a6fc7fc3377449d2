import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Event, RateLimit, Run, RunError, Runtime } from "@fastagentic/core"
import { type A2aSchema } from "@fastagentic/protocols/a2a"
import { Effect, Fiber, Layer, Schema, Stream } from "effect"
import { mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import {
  collect,
  connect,
  getTask,
  partsText,
  send,
  sendStream,
  start,
  states,
  subscribe,
  taskOf,
  textOf
} from "./support.ts"

/** Counts to 100, slowly enough to be interrupted. */
class Count extends Agent.make("count", { description: "Counts", payload: { text: Schema.String } }) {}

const counted = Array.from({ length: 100 }, (_, index) => `${index} `).join("")

class Draft extends Agent.make("draft", {
  description: "Says one thing and answers another",
  payload: { text: Schema.String }
}) {}

class Acme extends App.make("acme", { version: "1.0.0", title: "Acme", agents: [Count, Draft] }) {}

const serveCounting = (budget: Layer.Layer<Budget.Budget>) =>
  serve(
    mounted("a2a").pipe(
      Layer.provide(Runtime.layer(Acme, { grace: "100 millis" })),
      Layer.provide([
        Count.toLayer(() =>
          Stream.range(0, 99).pipe(
            Stream.rechunk(1),
            Stream.mapEffect((index) => Effect.as(Effect.sleep("2 millis"), Event.token(`${index} `)))
          )
        ),
        Draft.toLayer(({ text }) => Effect.as(Run.emit(Event.token("thinking")), text))
      ]),
      Layer.provide(Layer.mergeAll(
        layerStores,
        Auth.layerNone,
        RateLimit.layerUnlimited,
        budget
      ))
    )
  )

const counting = serveCounting(Budget.layerUnlimited)

const isText = (update: A2aSchema.StreamResponse) => "artifactUpdate" in update

const isAsking = (update: A2aSchema.StreamResponse) =>
  "task" in update && update.task.status.state === "TASK_STATE_INPUT_REQUIRED"

describe("SendStreamingMessage", () => {
  it.live("begins with the task, streams the answer, and ends with the task", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const updates = yield* collect(sendStream(client, "one two three", { skill: "echo" }))
      assert.deepStrictEqual(states(updates), ["TASK_STATE_SUBMITTED", "TASK_STATE_WORKING", "TASK_STATE_COMPLETED"])
      assert.strictEqual(textOf(updates, "output"), "one two three ")
      const last = updates.filter(isText).at(-1)
      assert.isTrue(last !== undefined && "artifactUpdate" in last && last.artifactUpdate.lastChunk)
      const task = yield* getTask(client, taskOf(updates).id)
      assert.strictEqual(partsText(task.artifacts?.[0]), "one two three ")
    }).pipe(Effect.scoped))

  it.live("streams while the run works", () =>
    Effect.gen(function*() {
      const updates = yield* collect(sendStream(yield* connect(yield* counting), "go"))
      assert.isAbove(updates.filter(isText).length, 20)
      assert.strictEqual(textOf(updates, "output"), counted)
    }).pipe(Effect.scoped))

  it.live("replaces streamed text that differs from the answer", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* counting)
      const updates = yield* collect(sendStream(client, "the answer", { skill: "draft" }))
      assert.strictEqual(textOf(updates, "output"), "the answer")
      assert.strictEqual(partsText((yield* getTask(client, taskOf(updates).id)).artifacts?.[0]), "the answer")
    }).pipe(Effect.scoped))

  it.live("sends an object as data besides the streamed text", () =>
    Effect.gen(function*() {
      const updates = yield* collect(sendStream(yield* connect(yield* start()), "Where is order 1042?"))
      assert.strictEqual(textOf(updates, "text"), "Looking at your order… ")
      const output = updates.flatMap((update) => "artifactUpdate" in update ? [update.artifactUpdate.artifact] : []).at(
        -1
      )
      assert.strictEqual(output?.artifactId, "output")
      assert.deepInclude(output?.parts[0]?.data, { answer: "Order 1042 is shipped." })
    }).pipe(Effect.scoped))

  it.live("ends with a declared error", () =>
    Effect.gen(function*() {
      const updates = yield* collect(sendStream(yield* connect(yield* start()), "Where is order 2042?"))
      const last = updates.at(-1)
      assert.isTrue(last !== undefined && "statusUpdate" in last)
      assert.strictEqual(states(updates).at(-1), "TASK_STATE_FAILED")
      assert.include(JSON.stringify(last), "{\"data\":{\"_tag\":\"OrderNotFound\",\"orderId\":2042}}")
    }).pipe(Effect.scoped))

  it.live("distinguishes a refusal from a failure", () =>
    Effect.gen(function*() {
      const usedUp = Layer.succeed(Budget.Budget, {
        ...Budget.unlimited,
        check: () => Effect.fail(new RunError.BudgetExceeded({ budget: "daily" }))
      })
      const client = yield* connect(yield* serveCounting(usedUp))
      const updates = yield* collect(sendStream(client, "go"))
      assert.strictEqual(states(updates).at(-1), "TASK_STATE_REJECTED")
      const { status } = yield* getTask(client, taskOf(updates).id)
      assert.strictEqual(status.state, "TASK_STATE_REJECTED")
      assert.deepStrictEqual(status.message?.parts, [{
        text: "The budget \"daily\" is used up. Wait for its next period, or ask for a higher one."
      }, {
        data: { _tag: "BudgetExceeded", rule: "budget: daily" }
      }])
    }).pipe(Effect.scoped))

  it.live("closes when input is required, and continues with the answer", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const asked = yield* collect(sendStream(client, "refund order 1042"))
      assert.strictEqual(states(asked).at(-1), "TASK_STATE_INPUT_REQUIRED")
      const { contextId, id } = taskOf(asked)
      const updates = yield* collect(sendStream(client, "yes", { taskId: id, contextId }))
      assert.strictEqual(taskOf(updates).id, id)
      assert.strictEqual(states(updates).at(-1), "TASK_STATE_COMPLETED")
      assert.strictEqual(textOf(updates, "text"), "Looking at your order… Done.")
    }).pipe(Effect.scoped))

  it.live("replays a repeated message", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const first = yield* collect(sendStream(client, "one two three", { skill: "echo", messageId: "same" }))
      const second = yield* collect(sendStream(client, "one two three", { skill: "echo", messageId: "same" }))
      assert.strictEqual(taskOf(second).id, taskOf(first).id)
      assert.deepStrictEqual(states(second), states(first))
      assert.strictEqual(textOf(second, "output"), "one two three ")
    }).pipe(Effect.scoped))
})

describe("SubscribeToTask", () => {
  it.live("joins a run in the middle without gap or duplicate", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* counting)
      const stream = sendStream(client, "go")
      const head = yield* collect(stream, isText)
      const { id } = taskOf(head)
      const followers = yield* Effect.all(
        Array.from({ length: 5 }, (_, index) => Effect.delay(collect(subscribe(client, id)), `${index * 15} millis`)),
        { concurrency: "unbounded" }
      )
      for (const updates of followers) {
        assert.strictEqual(textOf(updates, "output"), counted)
        assert.strictEqual(states(updates).at(-1), "TASK_STATE_COMPLETED")
        assert.deepStrictEqual(updates.filter((update) => "task" in update), updates.slice(0, 1))
      }
    }).pipe(Effect.scoped))

  it.live("loses no event over a dropped connection, which ends no run", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* counting)
      let seen = 0
      const head = yield* collect(sendStream(client, "go"), (update) => isText(update) && ++seen === 10)
      assert.notStrictEqual(textOf(head, "output"), counted)
      yield* Effect.sleep("20 millis")
      const updates = yield* collect(subscribe(client, taskOf(head).id))
      assert.strictEqual(taskOf(updates).status.state, "TASK_STATE_WORKING")
      assert.isTrue(textOf(updates.slice(0, 1), "output").startsWith(textOf(head, "output")))
      assert.strictEqual(textOf(updates, "output"), counted)
    }).pipe(Effect.scoped))

  it.live("stays open while input is required", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* start())
      const { id } = yield* send(client, "refund order 1042")
      let isOpen = false
      const subscription = yield* Effect.forkChild(collect(subscribe(client, id), (update) => {
        isOpen ||= isAsking(update)
        return false
      }))
      while (!isOpen) yield* Effect.sleep("5 millis")
      yield* Effect.sleep("30 millis")
      yield* send(client, "no", { taskId: id })
      const updates = yield* Fiber.join(subscription)
      assert.deepStrictEqual(states(updates), [
        "TASK_STATE_INPUT_REQUIRED",
        "TASK_STATE_WORKING",
        "TASK_STATE_COMPLETED"
      ])
      assert.strictEqual(textOf(updates, "text"), "Looking at your order… Done.")
    }).pipe(Effect.scoped))
})
