import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Run, Runtime, ToolCall } from "@fastagentic/core"
import { Effect, Layer, Schema, Stream } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { answer, caller, journal, layerRuntime, settle, summaryOf } from "../support.ts"

class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", { limit: Schema.Int }, { httpApiStatus: 409 }) {}

const Amount = Schema.Struct({ amount: Schema.Int })

/** Asks for approval from 100 up, and is not sure before it has looked. */
const Pay = Tool.make("pay", {
  description: "Pays",
  parameters: Amount,
  success: Schema.Int,
  failure: TooMuch,
  needsApproval: ({ amount }) => Effect.as(Effect.sleep("1 millis"), amount >= 100)
})

const Always = Tool.make("always", {
  description: "Pays",
  parameters: Amount,
  success: Schema.Int,
  needsApproval: true
})

/** Gives its failure back to whoever called. */
const Soft = Tool.make("soft", {
  description: "Fails softly",
  parameters: Amount,
  success: Schema.Int,
  failure: TooMuch,
  failureMode: "return"
})

/** Neither takes nor gives what JSON knows. */
const Later = Tool.make("later", {
  description: "A day later",
  parameters: Schema.Struct({ at: Schema.Date, by: Schema.BigInt }),
  success: Schema.Struct({ at: Schema.Date })
})

const Slow = Tool.make("slow", { description: "Tells how far it is", success: Schema.Int })
const Broken = Tool.make("broken", { description: "Breaks", success: Schema.Int })

const Tools = Toolkit.make(Pay, Always, Soft, Later, Slow, Broken)

/** Calls tools by name, one after the other. */
class Caller extends Agent.make("caller", {
  description: "Calls tools",
  payload: { calls: Schema.Array(Schema.Struct({ name: Schema.String, arguments: Schema.Json })) },
  success: Schema.Array(Schema.Struct({ result: Schema.Json, isError: Schema.Boolean, denied: Schema.Boolean })),
  error: TooMuch
}) {}

const Acme = App.make("acme", { version: "1", agents: [Caller], tools: Tools })

let paid: Array<number> = []
const pay = ({ amount }: { readonly amount: number }) =>
  Effect.suspend(() => {
    paid.push(amount)
    return amount > 1_000 ? Effect.fail(new TooMuch({ limit: 1_000 })) : Effect.succeed(amount)
  })

const ToolsLayer = Tools.toLayer({
  pay,
  always: ({ amount }) => Effect.orDie(pay({ amount })),
  soft: pay,
  later: ({ at, by }) => Effect.succeed({ at: new Date(at.getTime() + Number(by) * 86_400_000) }),
  slow: (_, { preliminary }) => Effect.as(Effect.andThen(preliminary(1), preliminary(2)), 3),
  broken: () => Effect.die(new Error("secret"))
})

const CallerLayer = Caller.toLayer(Effect.fn(function*({ calls }) {
  const handlers = ToolCall.handlersOf(yield* Tools)
  return yield* Effect.forEach(
    calls,
    (call, index) =>
      ToolCall.invoke(handlers, { toolCallId: `call-${index}`, ...call }).pipe(
        Effect.catch((error) => error instanceof TooMuch ? Effect.fail(error) : Effect.die(error))
      )
  )
})).pipe(Layer.provide(ToolsLayer))

const TestLayer = layerRuntime(Acme, Layer.mergeAll(CallerLayer, ToolsLayer))
const fresh = Effect.sync(() => {
  paid = []
})

describe("ToolCall", () => {
  it.live("asks only when its rule says so", () =>
    Effect.gen(function*() {
      yield* fresh
      const small = yield* settle("pay", { amount: 99 }, "tool")
      assert.deepInclude(small, { state: "completed", output: 99 })
      const big = yield* settle("pay", { amount: 100 }, "tool")
      assert.strictEqual(big.state, "suspended")
      assert.deepStrictEqual(paid, [99])
      assert.deepInclude(yield* answer(big.runId, { decision: "approve" }), { state: "completed", output: 100 })
      assert.deepStrictEqual(paid, [99, 100])
    }).pipe(Effect.provide(TestLayer)))

  it.live("runs with the edited arguments, and only if they fit", () =>
    Effect.gen(function*() {
      yield* fresh
      const runtime = yield* Runtime.Runtime
      const run = yield* settle("pay", { amount: 500 }, "tool")
      const [open] = yield* runtime.interrupts(caller, run.runId)
      assert.deepInclude(open, { tool: "pay", arguments: { amount: 500 }, kind: "approval" })
      for (const value of [{ amount: "1" }, {}, { amount: 1, more: 2 }, undefined]) {
        const given = value === undefined ? { decision: "edit" } as const : { decision: "edit", value } as const
        const error = yield* Effect.flip(runtime.answer(caller, run.runId, open?.id ?? "", given))
        assert.strictEqual(error.reason._tag, "InvalidPayload")
      }
      const done = yield* answer(run.runId, { decision: "edit", value: { amount: 250 } })
      assert.deepInclude(done, { state: "completed", output: 250 })
      assert.deepStrictEqual(paid, [250])
      const events = yield* journal(run.runId)
      assert.deepInclude(events.find((event) => event.type === "tool_start")?.data, {
        arguments: { amount: 250 },
        modified: true
      })
    }).pipe(Effect.provide(TestLayer)))

  it.live("never reaches a denied tool", () =>
    Effect.gen(function*() {
      yield* fresh
      const run = yield* settle("always", { amount: 5 }, "tool")
      const denied = yield* answer(run.runId, { decision: "deny", reason: "no money" })
      assert.deepInclude(denied, { state: "rejected" })
      assert.deepInclude(denied.error, {
        tag: "ToolDenied",
        message: "The call of the tool \"always\" was denied: no money",
        status: 403
      })
      assert.deepStrictEqual(paid, [])
      const events = yield* journal(run.runId)
      assert.notInclude(summaryOf(events), "tool_start")
      assert.deepInclude(events.find((event) => event.type === "tool_result")?.data, { denied: true, isError: true })
    }).pipe(Effect.provide(TestLayer)))

  it.live("tells an agent that it was denied, and the agent goes on", () =>
    Effect.gen(function*() {
      yield* fresh
      const calls = [
        { name: "pay", arguments: { amount: 1 } },
        { name: "always", arguments: { amount: 2 } },
        { name: "always", arguments: { amount: 3 } }
      ]
      const run = yield* settle("caller", { calls })
      assert.strictEqual((yield* answer(run.runId, { decision: "deny" })).state, "suspended")
      const done = yield* answer(run.runId, { decision: "approve" })
      assert.deepStrictEqual(done.output, [
        { result: 1, isError: false, denied: false },
        { result: { denied: true }, isError: true, denied: true },
        { result: 3, isError: false, denied: false }
      ])
      assert.deepStrictEqual(paid, [1, 3])
      assert.strictEqual(done.attempt, 3)
    }).pipe(Effect.provide(TestLayer)))

  it.live("fails as its handler fails", () =>
    Effect.gen(function*() {
      const error = { tag: "TooMuch", status: 409, declared: true, value: { _tag: "TooMuch", limit: 1_000 } }
      const waiting = yield* settle("pay", { amount: 5_000 }, "tool")
      const tool = yield* answer(waiting.runId, { decision: "approve" })
      assert.deepInclude(tool.error, error)
      assert.deepStrictEqual(summaryOf(yield* journal(tool.runId)).slice(-2), ["tool_start", "error"])
    }).pipe(Effect.provide(TestLayer)))

  it.live("returns a failure as a result when its mode says so; called directly, it is the run's error", () =>
    Effect.gen(function*() {
      const inside = yield* settle("caller", { calls: [{ name: "soft", arguments: { amount: 2_000 } }] })
      assert.deepStrictEqual(inside.output, [
        { result: { _tag: "TooMuch", limit: 1_000 }, isError: true, denied: false }
      ])
      const direct = yield* settle("soft", { amount: 2_000 }, "tool")
      assert.deepInclude(direct.error, { tag: "TooMuch", status: 409, declared: true })
    }).pipe(Effect.provide(TestLayer)))

  it.live("shows nothing of a defect", () =>
    Effect.gen(function*() {
      const run = yield* settle("broken", {}, "tool")
      assert.deepStrictEqual(run.error, {
        tag: "InternalError",
        message: "The server failed unexpectedly. Its log has the cause under the trace id.",
        status: 500,
        declared: false
      })
      assert.notInclude(JSON.stringify(yield* journal(run.runId)), "secret")
    }).pipe(Effect.provide(TestLayer)))

  it.live("carries what JSON does not know, both ways", () =>
    Effect.gen(function*() {
      const payload = { at: "2026-01-01T00:00:00.000Z", by: "2" }
      const direct = yield* settle("later", payload, "tool")
      assert.deepStrictEqual(direct.output, { at: "2026-01-03T00:00:00.000Z" })
      const inside = yield* settle("caller", { calls: [{ name: "later", arguments: payload }] })
      assert.deepStrictEqual(inside.output, [
        { result: { at: "2026-01-03T00:00:00.000Z" }, isError: false, denied: false }
      ])
    }).pipe(Effect.provide(TestLayer)))

  it.live("says how far it is", () =>
    Effect.gen(function*() {
      const run = yield* settle("slow", {}, "tool")
      assert.deepStrictEqual(summaryOf(yield* journal(run.runId)), [
        "run_started",
        "tool_start",
        "tool_progress",
        "tool_progress",
        "tool_result",
        "done"
      ])
    }).pipe(Effect.provide(TestLayer)))
})

const Fickle = Agent.make("fickle", { description: "Wants something else each time", payload: {}, success: Schema.Int })
const FickleApp = App.make("fickle", { version: "1", agents: [Fickle], tools: Toolkit.make(Always) })

describe("An approval", () => {
  it.live("is for the very call that was approved", () => {
    let wanted = 10
    const AlwaysLayer = Toolkit.make(Always).toLayer({ always: ({ amount }) => Effect.orDie(pay({ amount })) })
    const FickleLayer = Fickle.toLayer(Effect.fn(function*() {
      const handlers = ToolCall.handlersOf(yield* Toolkit.make(Always))
      const call = { toolCallId: "c", name: "always", arguments: { amount: wanted } }
      return Number((yield* Effect.orDie(ToolCall.invoke(handlers, call))).result)
    })).pipe(Layer.provide(AlwaysLayer))
    return Effect.gen(function*() {
      yield* fresh
      const run = yield* settle("fickle")
      wanted = 999
      // Once it has left memory, its handler runs again.
      yield* Effect.sleep("2200 millis")
      const again = yield* answer(run.runId, { decision: "approve" })
      assert.strictEqual(again.state, "suspended")
      assert.deepStrictEqual(paid, [])
      const done = yield* answer(run.runId, { decision: "approve" })
      assert.deepInclude(done, { state: "completed", output: 999 })
      const interrupts = yield* Runtime.Runtime.use((runtime) => runtime.interrupts(caller, run.runId))
      assert.deepStrictEqual(interrupts.map((one) => one.arguments), [{ amount: 10 }, { amount: 999 }])
    }).pipe(Effect.provide(layerRuntime(FickleApp, Layer.mergeAll(FickleLayer, AlwaysLayer))))
  })
})

const Ask = Agent.make("ask", { description: "Asks", payload: {}, success: Schema.String, error: Run.InterruptDenied })
const Pair = Agent.make("pair", {
  description: "Asks twice at once",
  payload: {},
  success: Schema.Array(Schema.String)
})
const Strict = Agent.make("strict", { description: "Asks for an object", payload: {}, success: Schema.Int })

const AskApp = App.make("ask", { version: "1", agents: [Ask, Pair, Strict] })
const AskLayer = layerRuntime(
  AskApp,
  Layer.mergeAll(
    Ask.toLayer(() => Run.interrupt("sure", { schema: Schema.String })),
    Pair.toLayer(() =>
      Effect.orDie(Effect.all([
        Run.interrupt("left", { schema: Schema.String }),
        Run.interrupt("right", { schema: Schema.String })
      ], { concurrency: 2 }))
    ),
    Strict.toLayer(() =>
      Effect.orDie(Effect.map(Run.interrupt("object", { schema: Schema.Struct({ n: Schema.Int }) }), ({ n }) => n))
    )
  )
)

describe("An interrupt", () => {
  it.live("that is denied fails with InterruptDenied", () =>
    Effect.gen(function*() {
      const run = yield* settle("ask")
      const denied = yield* answer(run.runId, { decision: "deny", reason: "never" })
      assert.strictEqual(denied.state, "failed")
      assert.deepInclude(denied.error, {
        tag: "InterruptDenied",
        status: 403,
        declared: true,
        value: { _tag: "InterruptDenied", name: "sure", reason: "never" }
      })
    }).pipe(Effect.provide(AskLayer)))

  it.live("takes a value that fits and has no field too many", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const run = yield* settle("strict")
      const [open] = yield* runtime.interrupts(caller, run.runId)
      for (const value of [{ n: 1, m: 2 }, { n: "1" }, {}, null]) {
        const error = yield* Effect.flip(
          runtime.answer(caller, run.runId, open?.id ?? "", { decision: "approve", value })
        )
        assert.strictEqual(error.reason._tag, "InvalidPayload", JSON.stringify(value))
      }
      assert.deepInclude(yield* answer(run.runId, { decision: "approve", value: { n: 1 } }), { output: 1 })
    }).pipe(Effect.provide(AskLayer)))

  it.live("of two at once is asked at once", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const run = yield* settle("pair")
      assert.strictEqual(run.state, "suspended")
      assert.strictEqual((yield* runtime.interrupts(caller, run.runId)).length, 2)
      assert.strictEqual((yield* answer(run.runId, { decision: "approve", value: "l" })).state, "suspended")
      const done = yield* answer(run.runId, { decision: "approve", value: "r" })
      assert.deepStrictEqual(done.output, ["l", "r"])
      const pages = yield* runtime.follow(caller, run.runId, { after: 0, until: "final" })
      const events = (yield* Stream.runCollect(pages)).flatMap((page) => page.events)
      assert.strictEqual(events.filter((event) => event.type === "interrupt").length, 2)
    }).pipe(Effect.provide(AskLayer)))
})
