import { assert, describe, it } from "@effect/vitest"
import { ModelLoop, ScriptedModel } from "@fastagentic/adapters/effect-ai"
import {
  Agent,
  App,
  Audit,
  Auth,
  Budget,
  Caller,
  type Event,
  Hook,
  type Interrupt,
  RateLimit,
  Redaction,
  RunStore,
  Runtime
} from "@fastagentic/core"
import { Context, Deferred, Effect, Layer, Ref, Schema, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"

class OrderNotFound
  extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", { orderId: Schema.Int }, { httpApiStatus: 404 })
{}

class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", { left: Schema.Int }) {}

const FindOrder = Tool.make("find_order", {
  parameters: Schema.Struct({ orderId: Schema.Int }),
  success: Schema.Struct({ orderId: Schema.Int, state: Schema.String }),
  failure: OrderNotFound
})

const Refund = Tool.make("refund", {
  parameters: Schema.Struct({ orderId: Schema.Int, amount: Schema.Int }),
  success: Schema.Struct({ refunded: Schema.Int }),
  failure: TooMuch,
  failureMode: "return",
  needsApproval: true
})

const Photo = Tool.make("photo", {
  parameters: Schema.Struct({ zoom: Schema.optionalKey(Schema.Int) }),
  failureMode: "return",
  success: Schema.Struct({ pixels: Schema.Int }),
  toModelOutput: ({ pixels }) => [Prompt.textPart({ text: `a photo of ${pixels} pixels` })]
})

const Tools = Toolkit.make(FindOrder, Refund, Photo)

class Desk extends Agent.make("desk", {
  description: "Answers",
  payload: { question: Schema.String },
  success: Schema.Struct({ text: Schema.String, turns: Schema.Int, reason: Schema.String, results: Schema.Json }),
  error: Schema.Union([OrderNotFound, ModelLoop.TurnLimitReached])
}) {}

/** Runs two loops: the second conversation knows nothing of the first. */
class Twice extends Agent.make("twice", { description: "Answers twice", payload: { question: Schema.String } }) {}

class Watch extends Hook.make("watch") {}

class Acme extends App.make("acme", { version: "1", agents: [Desk, Twice], tools: Tools }).hook(Watch) {}

/** The calls that the tools received. */
class Ledger extends Context.Service<Ledger, {
  readonly entries: Ref.Ref<ReadonlyArray<string>>
  readonly entered: Deferred.Deferred<void>
}>()("test/Ledger") {
  static readonly layer = Layer.effect(
    Ledger,
    Effect.gen(function*() {
      return { entries: yield* Ref.make<ReadonlyArray<string>>([]), entered: yield* Deferred.make<void>() }
    })
  )
}

const note = (entry: string) => Ledger.use(({ entries }) => Ref.updateAndGet(entries, (before) => [...before, entry]))

const ToolsLayer = Tools.toLayer(Effect.gen(function*() {
  const ledger = yield* Ledger
  const write = (entry: string) => Effect.provideService(note(entry), Ledger, ledger)
  return Tools.of({
    find_order: Effect.fnUntraced(function*({ orderId }) {
      const entries = yield* write(`find ${orderId}`)
      if (orderId > 9000) return yield* new OrderNotFound({ orderId })
      // The first lookup of order 7 never returns.
      if (orderId === 7 && entries.filter((entry) => entry === "find 7").length === 1) {
        yield* Deferred.succeed(ledger.entered, undefined)
        return yield* Effect.never
      }
      return { orderId, state: "shipped" }
    }),
    refund: Effect.fnUntraced(function*({ amount, orderId }) {
      if (amount > 100) return yield* new TooMuch({ left: 100 })
      yield* write(`refund ${orderId} ${amount}`)
      return { refunded: amount }
    }),
    photo: () => Effect.as(write("photo"), { pixels: 9 })
  })
}))

const loop = (question: string) =>
  ModelLoop.run({ system: "You are terse.", prompt: question, toolkit: Tools, maxTurns: 4 }).pipe(
    Effect.catchTag("AiError", Effect.die)
  )

const DeskLayer = Desk.toLayer(Effect.fn(function*({ question }) {
  const { finishReason, text, toolResults, turns } = yield* loop(question)
  const results = toolResults.map(({ denied, isError, name, params, result }) => ({
    name,
    params,
    result,
    isError,
    denied
  }))
  return { text, turns, reason: finishReason, results }
}))

const TwiceLayer = Twice.toLayer(({ question }) =>
  Effect.gen(function*() {
    const first = yield* loop(question)
    const second = yield* loop(question)
    return `${first.text}|${second.text}`
  }).pipe(Effect.orDie)
)

/** The state that outlives a runtime. */
const services = (model: Layer.Layer<LanguageModel.LanguageModel | ScriptedModel.Requests>) =>
  Layer.mergeAll(
    RunStore.RunStore.layerMemory,
    Auth.layerNone,
    RateLimit.layerUnlimited,
    Budget.layerUnlimited,
    Audit.layerMemory,
    Ledger.layer,
    model
  )

const runtime = (points: Hook.Points = {}) =>
  Runtime.layer(Acme, { grace: "100 millis" }).pipe(
    Layer.provide(Layer.mergeAll(DeskLayer, TwiceLayer, Watch.toLayer(points))),
    Layer.provide(ToolsLayer)
  )

const TestLayer = (turns: ReadonlyArray<ScriptedModel.Turn>, points: Hook.Points = {}) =>
  Layer.provideMerge(runtime(points), services(ScriptedModel.layer(turns)))

const caller = Caller.make("local")

const start = Effect.fnUntraced(function*(question: string, identifier = "desk") {
  const { run } = yield* (yield* Runtime.Runtime).start(caller, { kind: "agent", identifier, payload: { question } })
  return run.runId
})

const settle = Effect.fnUntraced(function*(runId: string) {
  return yield* (yield* Runtime.Runtime).await(caller, runId)
})

const ask = (question: string, identifier = "desk") => Effect.flatMap(start(question, identifier), settle)

const journal = Effect.fnUntraced(function*(runId: string) {
  const pages = yield* (yield* Runtime.Runtime).follow(caller, runId, { after: 0, until: "final" })
  return (yield* Stream.runCollect(pages)).flatMap((page) => page.events)
})

const tokens = (events: ReadonlyArray<Event.Event>) =>
  events.map((event) => event.type === "token" ? event.data.delta : "").join("")

const answer = Effect.fnUntraced(function*(runId: string, decision: Interrupt.Answer) {
  const runtime = yield* Runtime.Runtime
  const open = (yield* runtime.interrupts(caller, runId)).find(({ state }) => state === "open")
  yield* runtime.answer(caller, runId, open?.id ?? "", decision)
  return yield* settle(runId)
})

const requests = Effect.flatMap(ScriptedModel.Requests, ({ all }) => all)
const entries = Effect.flatMap(Ledger, (ledger) => Ref.get(ledger.entries))
const lastResult = Effect.map(requests, (all) => {
  const message = all.at(-1)?.prompt.content.at(-1)
  const part = message?.role === "tool" ? message.content[0] : undefined
  return part?.type === "tool-result" ? part : undefined
})

const key = `sk-proj-${"aB3".repeat(12)}`
const find = (orderId: number) => ScriptedModel.call("find_order", { orderId })
const refund = (orderId: number, amount: number) => ScriptedModel.call("refund", { orderId, amount })

describe("ModelLoop", () => {
  it.effect("events of a run are in order, and its tokens are its text", () =>
    Effect.gen(function*() {
      const run = yield* ask("Where is order 1?")
      assert.deepStrictEqual(run.output, {
        text: "Let me look. It is shipped.",
        turns: 2,
        reason: "stop",
        results: [{
          name: "find_order",
          params: { orderId: 1 },
          result: { orderId: 1, state: "shipped" },
          isError: false,
          denied: false
        }]
      })
      const events = yield* journal(run.runId)
      assert.deepStrictEqual(events.map(({ type }) => type).filter((type) => type !== "tool_call_delta"), [
        "run_started",
        "node_enter",
        "llm_start",
        "message_start",
        "token",
        "token",
        "token",
        "tool_call_start",
        "tool_call",
        "message_end",
        "llm_end",
        "usage",
        "checkpoint",
        "tool_start",
        "tool_result",
        "checkpoint",
        "node_exit",
        "node_enter",
        "llm_start",
        "message_start",
        "token",
        "token",
        "token",
        "message_end",
        "llm_end",
        "usage",
        "checkpoint",
        "node_exit",
        "done"
      ])
      assert.strictEqual(tokens(events), "Let me look. It is shipped.")
      assert.deepStrictEqual(events.find((event) => event.type === "node_enter")?.data, {
        nodeId: "turn_1",
        name: "turn 1",
        kind: "turn"
      })
      const called = events.find((event) => event.type === "tool_call")?.data
      assert.deepInclude(called, { name: "find_order", arguments: { orderId: 1 } })
      assert.strictEqual(events.find((event) => event.type === "tool_call_start")?.data?.toolCallId, called?.toolCallId)
      assert.strictEqual(events.find((event) => event.type === "tool_result")?.data?.toolCallId, called?.toolCallId)
      assert.strictEqual(
        events.find((event) => event.type === "token")?.data?.messageId,
        events.find((event) => event.type === "message_start")?.data?.messageId
      )
      assert.strictEqual(
        events.find((event) => event.type === "llm_end")?.data?.callId,
        events.find((event) => event.type === "llm_start")?.data?.callId
      )
      const [asked] = yield* requests
      assert.deepStrictEqual(asked?.prompt.content.map(({ role }) => role), ["system", "user"])
    }).pipe(Effect.provide(TestLayer([
      ScriptedModel.calls([{ name: "find_order", params: { orderId: 1 } }], { text: "Let me look. " }),
      ScriptedModel.text("It is shipped.")
    ]))))

  it.effect("usage is the sum of the provider's reports", () =>
    Effect.gen(function*() {
      const run = yield* ask("Where is order 1?")
      assert.deepInclude(run.usage, { inputTokens: 30, outputTokens: 5 })
      const usage = (yield* journal(run.runId)).filter((event) => event.type === "usage")
      assert.deepStrictEqual(usage.map(({ data }) => [data.inputTokens, data.outputTokens, data.model]), [
        [10, 2, "scripted"],
        [20, 3, "scripted"]
      ])
    }).pipe(Effect.provide(TestLayer([
      ScriptedModel.calls([{ name: "find_order", params: { orderId: 1 } }], { inputTokens: 10, outputTokens: 2 }),
      ScriptedModel.text("Shipped.", { inputTokens: 20, outputTokens: 3 })
    ]))))

  it.effect("a tool failure with mode error ends the run with that failure", () =>
    Effect.gen(function*() {
      const run = yield* ask("Where is order 9001?")
      assert.strictEqual(run.state, "failed")
      assert.deepInclude(run.error, { tag: "OrderNotFound", status: 404, declared: true })
      assert.deepStrictEqual(run.error?.value, { _tag: "OrderNotFound", orderId: 9001 })
      const events = yield* journal(run.runId)
      assert.deepInclude(events.find((event) => event.type === "tool_result")?.data, {
        isError: true,
        result: { _tag: "OrderNotFound", orderId: 9001 }
      })
      assert.strictEqual(events.find((event) => event.type === "node_exit")?.data?.status, "error")
    }).pipe(Effect.provide(TestLayer([find(9001)]))))

  it.effect("the model receives failures that it can correct", () =>
    Effect.gen(function*() {
      const run = yield* ask("Do it all wrong")
      assert.strictEqual(run.state, "completed")
      const reported = (yield* requests).flatMap(({ prompt }) => {
        const message = prompt.content.at(-1)
        return message?.role === "tool" ? message.content : []
      })
      assert.deepStrictEqual(
        reported.map((part) => part.type === "tool-result" && part.isFailure && Object(part.result)._tag),
        ["ToolNotFoundError", "ToolParameterValidationError", "AiError"]
      )
      const results = (yield* journal(run.runId)).filter((event) => event.type === "tool_result")
      assert.deepStrictEqual(results.map(({ data }) => data.isError), [true, true, true])
      assert.deepStrictEqual(yield* entries, [])
    }).pipe(Effect.provide(TestLayer([
      ScriptedModel.calls([
        { name: "fly", params: {} },
        { name: "find_order", params: { orderId: "one" } },
        { name: "photo", params: { zoom: "far" } }
      ]),
      ScriptedModel.text("Sorry.")
    ]))))

  it.effect("a returned failure is in the result, and its encoding goes to the model", () =>
    Effect.gen(function*() {
      const runId = yield* start("Refund 500 of order 1")
      yield* settle(runId)
      const run = yield* answer(runId, { decision: "approve" })
      assert.strictEqual(run.state, "completed")
      const message = (yield* requests).at(-1)?.prompt.content.at(-1)
      const parts = message?.role === "tool" ? message.content : []
      assert.deepStrictEqual(
        parts.map((part) => part.type === "tool-result" && [part.isFailure, part.result, part.modelOutput?.length]),
        [[true, { _tag: "TooMuch", left: 100 }, undefined], [false, { pixels: 9 }, 1]]
      )
    }).pipe(Effect.provide(TestLayer([
      ScriptedModel.calls([
        { name: "refund", params: { orderId: 1, amount: 500 } },
        { name: "photo", params: {} }
      ]),
      ScriptedModel.text("Too much.")
    ]))))

  for (
    const [decision, reply, did, reported] of [
      ["approve", { decision: "approve" }, ["find 1", "refund 1 10"], { refunded: 10 }],
      ["edit", { decision: "edit", value: { orderId: 1, amount: 4 } }, ["find 1", "refund 1 4"], { refunded: 4 }],
      ["deny", { decision: "deny", reason: "no" }, ["find 1"], { type: "execution-denied", reason: "no" }]
    ] as const
  ) {
    it.effect(`an approval pauses the run, and the run resumes after: ${decision}`, () =>
      Effect.gen(function*() {
        const runId = yield* start("Refund 10 of order 1")
        assert.strictEqual((yield* settle(runId)).state, "suspended")
        const [open] = yield* (yield* Runtime.Runtime).interrupts(caller, runId)
        assert.deepInclude(open, { tool: "refund", arguments: { orderId: 1, amount: 10 }, kind: "approval" })
        const run = yield* answer(runId, reply)
        assert.strictEqual(run.state, "completed")
        assert.strictEqual((yield* requests).length, 3)
        assert.deepStrictEqual(yield* entries, [...did])
        assert.deepStrictEqual((yield* lastResult)?.result, reported)
        const events = yield* journal(runId)
        assert.strictEqual(tokens(events), "All done.")
        assert.deepStrictEqual(
          events.map((event) => event.type === "node_enter" ? event.data.nodeId : "").filter((id) => id !== ""),
          ["turn_1", "turn_2", "turn_3"]
        )
        const result = events.filter((event) => event.type === "tool_result").at(-1)?.data
        assert.deepInclude(result, { name: "refund", isError: decision === "deny" })
        assert.strictEqual(result?.denied ?? false, decision === "deny")
        if (decision === "edit") {
          assert.deepInclude(Object(run.output).results[1], { name: "refund", params: { orderId: 1, amount: 4 } })
        }
      }).pipe(Effect.provide(TestLayer([find(1), refund(1, 10), ScriptedModel.text("All done.")]))))
  }

  it.effect("each approval is requested, also when a provider reuses call ids", () =>
    Effect.gen(function*() {
      const runId = yield* start("Refund 10 of order 1", "twice")
      yield* settle(runId)
      assert.strictEqual((yield* answer(runId, { decision: "approve" })).state, "suspended")
      const run = yield* answer(runId, { decision: "deny" })
      assert.strictEqual(run.output, "Done.|Not done.")
      assert.deepStrictEqual(yield* entries, ["refund 1 10"])
      assert.strictEqual((yield* requests).length, 4)
    }).pipe(Effect.provide(TestLayer([
      ScriptedModel.call("refund", { orderId: 1, amount: 10 }, "call_1"),
      ScriptedModel.text("Done."),
      ScriptedModel.call("refund", { orderId: 1, amount: 10 }, "call_1"),
      ScriptedModel.text("Not done.")
    ]))))

  it.effect("a crash in a tool does not call the model again", () =>
    Effect.gen(function*() {
      const outlives = yield* Layer.build(services(ScriptedModel.layer([
        ScriptedModel.calls([
          { name: "photo", params: {} },
          { name: "find_order", params: { orderId: 7 } }
        ], { text: "Looking. " }),
        ScriptedModel.text("Found.")
      ])))
      const boot = Layer.provideMerge(runtime(), Layer.succeedContext(outlives))
      const runId = yield* Effect.gen(function*() {
        const runId = yield* start("Where is order 7?")
        yield* Deferred.await((yield* Ledger).entered)
        return runId
      }).pipe(Effect.provide(boot))
      yield* Effect.gen(function*() {
        const run = yield* settle(runId)
        assert.strictEqual(run.state, "completed")
        assert.strictEqual(run.attempt, 2)
        assert.strictEqual((yield* requests).length, 2)
        assert.deepStrictEqual(yield* entries, ["photo", "find 7", "find 7"])
        const events = yield* journal(runId)
        assert.strictEqual(tokens(events), "Looking. Found.")
        assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1))
        assert.strictEqual(events.filter(({ type }) => type === "tool_call").length, 2)
        assert.strictEqual(events.filter(({ type }) => type === "tool_result").length, 2)
      }).pipe(Effect.provide(boot))
    }))

  it.effect("a crash in an answer calls the model again", () =>
    Effect.gen(function*() {
      const outlives = yield* Layer.build(services(ScriptedModel.layer([
        find(1),
        ScriptedModel.hang({ after: ["It is "] }),
        ScriptedModel.text("It is shipped.")
      ])))
      const boot = Layer.provideMerge(runtime(), Layer.succeedContext(outlives))
      const runId = yield* Effect.gen(function*() {
        const runId = yield* start("Where is order 1?")
        const pages = yield* (yield* Runtime.Runtime).follow(caller, runId, { after: 0, until: "final" })
        yield* pages.pipe(
          Stream.takeUntil(({ events }) => events.some(({ type }) => type === "token")),
          Stream.runDrain
        )
        return runId
      }).pipe(Effect.provide(boot))
      yield* Effect.gen(function*() {
        assert.strictEqual(Object((yield* settle(runId)).output).text, "It is shipped.")
        assert.strictEqual((yield* requests).length, 3)
        assert.deepStrictEqual(yield* entries, ["find 1"])
        const events = yield* journal(runId)
        const messages = new Set(events.map((event) => event.type === "token" ? event.data.messageId : undefined))
        messages.delete(undefined)
        assert.strictEqual(messages.size, 2)
      }).pipe(Effect.provide(boot))
    }))

  it.effect("tool calls of the last turn are not made", () =>
    Effect.gen(function*() {
      const run = yield* ask("Look on and on")
      assert.deepInclude(run.error, { tag: "TurnLimitReached", declared: true })
      assert.deepStrictEqual(yield* entries, ["find 1", "find 2", "find 3"])
    }).pipe(Effect.provide(TestLayer([find(1), find(2), find(3), find(4), find(5)]))))

  it.effect("a model error fails the run, and the journal is balanced", () =>
    Effect.gen(function*() {
      const run = yield* ask("Hello")
      assert.deepInclude(run.error, { tag: "ModelFailed", status: 502, declared: false })
      assert.deepStrictEqual((yield* journal(run.runId)).map(({ type }) => type), [
        "run_started",
        "node_enter",
        "llm_start",
        "message_start",
        "token",
        "message_end",
        "llm_end",
        "node_exit",
        "error"
      ])
    }).pipe(Effect.provide(TestLayer([
      ScriptedModel.fail(new AiError.InvalidRequestError({ description: "no" }), { after: ["Well"] })
    ]))))
})

describe("ModelLoop hooks", () => {
  const decisions = (events: ReadonlyArray<Event.Event>) =>
    events.map((event) => event.type === "hook_decision" ? `${event.data.point} ${event.data.decision}` : "")
      .filter((one) => one !== "")

  it.effect("an llm hook changes the prompt once per turn", () =>
    Effect.gen(function*() {
      const runId = yield* start("Refund 10 of order 1")
      yield* settle(runId)
      yield* answer(runId, { decision: "approve" })
      const [asked] = yield* requests
      assert.deepStrictEqual(asked?.prompt.content[0]?.content, "Be kind.")
      assert.deepStrictEqual(decisions(yield* journal(runId)), ["llm modify", "llm modify"])
    }).pipe(Effect.provide(TestLayer([refund(1, 10), ScriptedModel.text("Done.")], {
      llm: (call, next) => next({ ...call, prompt: Prompt.setSystem(call.prompt, "Be kind.") })
    }))))

  it.effect("an llm hook changes the answer that is emitted", () =>
    Effect.gen(function*() {
      const run = yield* ask("Hello")
      assert.strictEqual(tokens(yield* journal(run.runId)), "MY SECRET")
      assert.strictEqual(Object(run.output).text, "MY SECRET")
    }).pipe(Effect.provide(TestLayer([ScriptedModel.text("my secret")], {
      llm: (call, next) =>
        Stream.map(
          next(call),
          (part) => part.type === "text-delta" ? { ...part, delta: part.delta.toUpperCase() } : part
        )
    }))))

  it.effect("a refusal of an llm hook ends the run", () =>
    Effect.gen(function*() {
      const run = yield* ask("Hello")
      assert.deepInclude(run.error, { tag: "HookBlocked", message: "not today", status: 403 })
      assert.deepStrictEqual(yield* requests, [])
      assert.deepStrictEqual(decisions(yield* journal(run.runId)), ["llm block"])
    }).pipe(Effect.provide(TestLayer([ScriptedModel.text("Hi")], {
      llm: () => Stream.unwrap(Hook.block(Watch, "llm", "not today"))
    }))))

  it.effect("a refusal of a tool hook is reported to the model", () =>
    Effect.gen(function*() {
      const run = yield* ask("Where is order 1?")
      assert.strictEqual(run.state, "completed")
      assert.deepStrictEqual(yield* entries, [])
      assert.deepInclude(yield* lastResult, {
        isFailure: true,
        result: { type: "execution-denied", reason: "not today" }
      })
      const events = yield* journal(run.runId)
      assert.deepInclude(events.find((event) => event.type === "tool_result")?.data, { isError: true, denied: true })
      assert.isUndefined(events.find((event) => event.type === "tool_start")?.data)
    }).pipe(Effect.provide(TestLayer([find(1), ScriptedModel.text("Sorry.")], {
      tool: () => Hook.block(Watch, "tool", "not today")
    }))))

  it.effect("a tool hook changes arguments and result", () =>
    Effect.gen(function*() {
      const run = yield* ask("Where is order 1?")
      assert.deepStrictEqual(yield* entries, ["find 2"])
      assert.deepStrictEqual((yield* lastResult)?.result, { redacted: true })
      assert.deepInclude(Object(run.output).results[0], { params: { orderId: 2 }, result: { redacted: true } })
      assert.deepInclude((yield* journal(run.runId)).find((event) => event.type === "tool_start")?.data, {
        modified: true,
        arguments: { orderId: 2 }
      })
    }).pipe(Effect.provide(TestLayer([find(1), ScriptedModel.text("There.")], {
      tool: (call, next) =>
        Effect.map(next({ ...call, arguments: { orderId: 2 } }), (outcome) => ({
          ...outcome,
          result: { redacted: true }
        }))
    }))))

  it.effect("a tool hook answers without calling the tool", () =>
    Effect.gen(function*() {
      const run = yield* ask("Where is order 1?")
      assert.deepStrictEqual(yield* entries, [])
      assert.deepStrictEqual((yield* lastResult)?.result, { cached: true })
      const events = yield* journal(run.runId)
      assert.deepInclude(events.find((event) => event.type === "tool_result")?.data, {
        name: "find_order",
        result: { cached: true },
        isError: false
      })
    }).pipe(Effect.provide(TestLayer([find(1), ScriptedModel.text("There.")], {
      tool: () => Effect.succeed({ result: { cached: true }, isError: false })
    }))))

  it.effect("a refusal of a node hook ends the run before the model is called", () =>
    Effect.gen(function*() {
      const run = yield* ask("Hello")
      assert.deepInclude(run.error, { tag: "HookBlocked", message: "no turn" })
      assert.deepStrictEqual(yield* requests, [])
    }).pipe(Effect.provide(TestLayer([ScriptedModel.text("Hi")], {
      node: () => Hook.block(Watch, "node", "no turn")
    }))))

  it.effect("no event contains a redacted secret, and the model still receives it", () =>
    Effect.gen(function*() {
      const paused = yield* ask("?")
      assert.strictEqual(paused.state, "suspended")
      const run = yield* answer(paused.runId, { decision: "approve" })
      const events = yield* journal(run.runId)
      assert.notInclude(JSON.stringify([events, run.output]), "aB3aB3")
      assert.strictEqual(tokens(events), "the key [redacted: api-key] and again [redacted: api-key].")
      assert.deepInclude(run.output, { text: tokens(events) })
      const reported = (yield* requests).at(-1)?.prompt.content.map((message) => JSON.stringify(message)).join("")
      assert.include(reported ?? "", key)
      assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1))
    }).pipe(Effect.provide(TestLayer([
      ScriptedModel.calls([{ name: "refund", params: { orderId: 1, amount: 5 } }], {
        text: ["the ", "key sk-pr", key.slice(5, 20), key.slice(20)]
      }),
      ScriptedModel.text([" and ag", "ain ", key.slice(0, 30), `${key.slice(30)}.`])
    ], { output: Redaction.guard() }))))

  it.effect("a guard cuts the run off, and the turn is not stored", () =>
    Effect.gen(function*() {
      const run = yield* ask("?")
      assert.deepInclude(run, { state: "failed" })
      assert.deepInclude(run.error, { tag: "HookBlocked", message: "no" })
      const events = yield* journal(run.runId)
      assert.strictEqual(tokens(events), "it is ")
      assert.deepStrictEqual(events.slice(-2).map(({ type }) => type), ["hook_decision", "error"])
      assert.deepStrictEqual(yield* (yield* RunStore.RunStore).steps(run.runId), [])
    }).pipe(Effect.provide(TestLayer([ScriptedModel.text(["it is ", "bad", " and more"])], {
      output: {
        text: (whole) =>
          whole.includes("bad") ? Hook.block(Watch, "output", "no") : Effect.succeed({ out: whole, held: "" })
      }
    }))))
})
