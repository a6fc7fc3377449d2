import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Audit, Auth, Budget, Caller, Event, RateLimit, Run, RunStore, Runtime } from "@fastagentic/core"
import { Effect, Layer, Schema, Stream } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"

class NotThere extends Schema.TaggedError<NotThere>()("NotThere", { id: Schema.Int }, { httpApiStatus: 404 }) {}

class Echo extends Agent.make("echo", { description: "Echoes", payload: { text: Schema.String }, durable: false }) {}

class Support extends Agent.make("support", {
  description: "Answers",
  payload: { question: Schema.NonEmptyString },
  success: Schema.Struct({ answer: Schema.String }),
  error: NotThere
}) {}

const Refund = Tool.make("refund", {
  description: "Refunds",
  parameters: Schema.Struct({ id: Schema.Int, note: Schema.optionalKey(Schema.String) }),
  success: Schema.Struct({ done: Schema.Int }),
  needsApproval: true
})
const Tools = Toolkit.make(Refund)

class Acme extends App.make("acme", { version: "1", agents: [Echo, Support], tools: Tools }) {}

const EchoLayer = Echo.toLayer(({ text }) =>
  Stream.fromIterable(text.split(" ")).pipe(Stream.map((word) => Event.token(`${word} `)))
)

const SupportLayer = Support.toLayer(Effect.fn(function*({ question }) {
  yield* Run.emit(Event.token("looking"))
  const length = yield* Run.step("count", Effect.succeed(question.length))
  if (question === "missing") return yield* new NotThere({ id: 1 })
  const ok = yield* Effect.orDie(Run.interrupt("ok", { schema: Schema.Boolean }))
  yield* Run.emit(Event.token("after"))
  return { answer: `${length} ${ok}` }
}))

const ToolsLayer = Tools.toLayer({ refund: ({ id }) => Effect.succeed({ done: id }) })

const TestLayer = Runtime.layer(Acme).pipe(
  Layer.provide([EchoLayer, SupportLayer, ToolsLayer]),
  Layer.provideMerge(Layer.mergeAll(
    RunStore.RunStore.layerMemory,
    Auth.layerNone,
    RateLimit.layerUnlimited,
    Budget.layerUnlimited,
    Audit.layerMemory
  ))
)

const caller = Caller.make("local")

const journal = Effect.fnUntraced(function*(runId: string, until: "final" | "settled" = "final") {
  const runtime = yield* Runtime.Runtime
  const pages = yield* runtime.follow(caller, runId, { after: 0, until })
  return (yield* Stream.runCollect(pages)).flatMap((page) => page.events)
})

describe("Runtime", () => {
  it.effect("streams a run's events without gap and ends with its answer", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const { run } = yield* runtime.start(caller, {
        kind: "agent",
        identifier: "echo",
        payload: { text: "a b c" }
      })
      const events = yield* journal(run.runId)
      assert.deepStrictEqual(events.map((event) => [event.seq, event.type]), [
        [1, "run_started"],
        [2, "token"],
        [3, "token"],
        [4, "token"],
        [5, "done"]
      ])
      assert.strictEqual((yield* runtime.await(caller, run.runId)).output, "a b c ")
    }).pipe(Effect.provide(TestLayer)))

  it.effect("refuses keys and threads that no store can take", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      for (const name of ["k".repeat(513), "a\0b", "\ud800"]) {
        for (const field of ["idempotencyKey", "threadId"]) {
          const request = { kind: "agent", identifier: "support", payload: { question: "hi" }, [field]: name } as const
          const { reason } = yield* Effect.flip(runtime.start(caller, request))
          assert.strictEqual(reason._tag === "InvalidPayload" ? reason.target : reason._tag, field)
        }
      }
    }).pipe(Effect.provide(TestLayer)))

  it.effect("pauses, refuses a value that does not fit, and goes on without emitting twice", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const { run } = yield* runtime.start(caller, {
        kind: "agent",
        identifier: "support",
        payload: { question: "hello" }
      })
      assert.strictEqual((yield* runtime.await(caller, run.runId)).state, "suspended")
      const [open] = yield* runtime.interrupts(caller, run.runId)
      const id = open?.id ?? ""
      const bad = yield* Effect.flip(runtime.answer(caller, run.runId, id, { decision: "approve", value: "x" }))
      assert.strictEqual(bad.reason._tag, "InvalidPayload")
      yield* runtime.answer(caller, run.runId, id, { decision: "approve", value: true })
      assert.deepStrictEqual((yield* runtime.await(caller, run.runId)).output, { answer: "5 true" })
      const events = yield* journal(run.runId)
      assert.deepStrictEqual(events.map((event) => `${event.seq}/${event.attempt} ${event.type}`), [
        "1/1 run_started",
        "2/1 token",
        "3/1 checkpoint",
        "4/1 interrupt",
        "5/1 run_suspended",
        "6/2 interrupt_resolved",
        "7/2 run_started",
        "8/2 token",
        "9/2 done"
      ])
    }).pipe(Effect.provide(TestLayer)))

  it.effect("ends with the agent's own error", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const { run } = yield* runtime.start(caller, {
        kind: "agent",
        identifier: "support",
        payload: { question: "missing" }
      })
      const failed = yield* runtime.await(caller, run.runId)
      assert.strictEqual(failed.state, "failed")
      assert.deepStrictEqual(failed.error, {
        tag: "NotThere",
        message: "NotThere",
        status: 404,
        declared: true,
        value: { _tag: "NotThere", id: 1 }
      })
    }).pipe(Effect.provide(TestLayer)))

  it.effect("asks before a tool acts and runs it with the edited arguments", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const { run } = yield* runtime.start(caller, { kind: "tool", identifier: "refund", payload: { id: 3 } })
      assert.strictEqual((yield* runtime.await(caller, run.runId)).state, "suspended")
      const [open] = yield* runtime.interrupts(caller, run.runId)
      assert.deepInclude(open, { tool: "refund", arguments: { id: 3 }, state: "open" })
      yield* runtime.answer(caller, run.runId, open?.id ?? "", { decision: "edit", value: { id: 9, note: "b" } })
      assert.deepStrictEqual((yield* runtime.await(caller, run.runId)).output, { done: 9 })
      // A repeat is no other decision, in whatever order its fields come.
      yield* runtime.answer(caller, run.runId, open?.id ?? "", { decision: "edit", value: { note: "b", id: 9 } })
      const other = { decision: "edit", value: { note: "c", id: 9 } } as const
      const { reason } = yield* Effect.flip(runtime.answer(caller, run.runId, open?.id ?? "", other))
      assert.strictEqual(reason._tag, "InterruptResolved")
    }).pipe(Effect.provide(TestLayer)))
})

describe("a stage that throws", () => {
  it.effect("ends the run as a defect does", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const { run } = yield* runtime.start(caller, { kind: "agent", identifier: "echo", payload: { text: "a" } })
      const failed = yield* runtime.await(caller, run.runId)
      assert.deepInclude(failed.error, { tag: "InternalError", status: 500 })
    }).pipe(Effect.provide(
      Runtime.layer(Acme).pipe(
        Layer.provide([EchoLayer, SupportLayer, ToolsLayer]),
        Layer.provide(Layer.mergeAll(
          RunStore.RunStore.layerMemory,
          Auth.layerNone,
          RateLimit.layerUnlimited,
          Layer.succeed(Budget.Budget, {
            ...Budget.unlimited,
            check: () => {
              throw new Error("a budget that throws")
            }
          }),
          Audit.layerMemory
        ))
      )
    )))
})
