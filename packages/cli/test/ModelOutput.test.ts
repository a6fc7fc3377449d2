import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import * as Toolkit from "effect/ai/Toolkit"
import { Budget, BudgetStore, Prices } from "fastagentic"
import { ModelLoop, OfflineModel, OutputMode } from "../src/effect-ai.ts"
import { ScriptedModel } from "../src/testing.ts"
import { deskOf, Tools } from "./looping.ts"

const Verdict = Schema.Struct({ order: Schema.Int, since: Schema.DateFromString })
const valid = { order: 7, since: "2026-01-02T00:00:00.000Z" }
const wrong = { order: "seven", since: "2026-01-02T00:00:00.000Z" }
const final = (params: unknown) => ScriptedModel.call("final_answer", params)

/** A loop with an output, whose answer shows that it was decoded. */
const verdict = (prompt: string) =>
  Effect.map(ModelLoop.run({ system: "Decide.", prompt, toolkit: Tools, output: Verdict, maxTurns: 4 }), (result) => ({
    order: result.output.order,
    year: result.output.since.getUTCFullYear(),
    turns: result.turns,
    tools: result.toolResults.length,
    inputTokens: result.usage.inputTokens
  }))

const serve = Effect.fnUntraced(function*(
  loop: Parameters<typeof deskOf>[0],
  mode: OutputMode.Mode,
  ...turns: ReadonlyArray<ScriptedModel.Turn>
) {
  const context = yield* Layer.build(ScriptedModel.layer(turns))
  const model = Layer.succeedContext(Context.pick(LanguageModel.LanguageModel)(context))
  const within: Parameters<typeof deskOf>[0] = (question) =>
    Effect.provideService(loop(question), OutputMode.OutputMode, mode)
  const served = yield* deskOf(within, model)
  return { ...served, requests: Effect.provideContext(ScriptedModel.Requests.use(({ all }) => all), context) }
})

const withoutTools = (prompt: string) =>
  Effect.map(
    ModelLoop.run({ prompt, toolkit: Toolkit.empty, output: Schema.Array(Schema.Int) }),
    ({ output, usage }) => ({ output, inputTokens: usage.inputTokens })
  )

describe("An answer of a schema, over REST on SQLite", () => {
  it.live("the model gives it as the arguments of a tool, after the calls of the same message", () =>
    Effect.gen(function*() {
      const { ask, requests, world } = yield* serve(
        verdict,
        "tool",
        ScriptedModel.calls([{ name: "refund", params: { order: 7 } }, { name: "final_answer", params: valid }], {
          inputTokens: 5
        })
      )
      const { body, events } = yield* ask()
      assert.deepStrictEqual(body, { order: 7, year: 2026, turns: 1, tools: 1, inputTokens: 5 })
      assert.deepStrictEqual(world, ["refund 7 begins", "refund 7 ends"])
      assert.include((yield* requests)[0]?.tools ?? [], "final_answer")
      assert.strictEqual(events.filter(({ type }) => type === "tool_result").length, 2)
    }).pipe(Effect.scoped))

  it.live("a wrong answer is repaired once, and the model learns what is wrong with it", () =>
    Effect.gen(function*() {
      const { ask, requests } = yield* serve(verdict, "tool", final(wrong), final(valid))
      assert.deepInclude((yield* ask()).body, { order: 7, turns: 2 })
      const message = (yield* requests)[1]?.prompt.content.at(-1)
      const [part] = message?.role === "tool" ? message.content : []
      assert.include(JSON.stringify(part), "order: ")
    }).pipe(Effect.scoped))

  it.live("a second wrong answer ends the run with its own type", () =>
    Effect.gen(function*() {
      const { ask, requests } = yield* serve(verdict, "tool", final(wrong), final(wrong), final(valid))
      const { body, status } = yield* ask()
      assert.strictEqual(status, 502)
      assert.deepInclude(body, { title: "OutputInvalid" })
      assert.strictEqual((yield* requests).length, 2)
    }).pipe(Effect.scoped))

  it.live("JSON in the text of a model that does not call the tool is taken, and other text is asked about", () =>
    Effect.gen(function*() {
      const fenced = "Here:\n```json\n" + JSON.stringify(valid) + "\n```"
      const first = yield* serve(verdict, "tool", ScriptedModel.text([fenced]))
      assert.deepInclude((yield* first.ask()).body, { order: 7, turns: 1 })
      const second = yield* serve(verdict, "tool", ScriptedModel.text("It is order 7."), final(valid))
      assert.deepInclude((yield* second.ask()).body, { order: 7, turns: 2 })
    }).pipe(Effect.scoped))

  it.live("a model with JSON schemas gets the schema, a wrong text is repaired once, and both are paid for", () =>
    Effect.gen(function*() {
      const { ask, requests } = yield* serve(
        withoutTools,
        "json",
        ScriptedModel.object({ answer: ["one"] }, { inputTokens: 3 }),
        ScriptedModel.object({ answer: [1, 2] }, { inputTokens: 4 })
      )
      const { body, events } = yield* ask()
      assert.deepStrictEqual(body, { output: [1, 2], inputTokens: 7 })
      assert.deepStrictEqual((yield* requests).map(({ responseFormat }) => responseFormat.type), ["json", "json"])
      assert.strictEqual(events.filter(({ type }) => type === "usage").length, 2)
    }).pipe(Effect.scoped))

  it.live("a model with JSON schemas uses its tools first", () =>
    Effect.gen(function*() {
      const { ask, requests, world } = yield* serve(
        verdict,
        "json",
        ScriptedModel.call("refund", { order: 7 }),
        ScriptedModel.text("Refunded."),
        ScriptedModel.object(valid)
      )
      assert.deepInclude((yield* ask()).body, { order: 7, turns: 3, tools: 1 })
      assert.strictEqual(world.length, 2)
      const all = yield* requests
      assert.deepStrictEqual(all.map(({ responseFormat }) => responseFormat.type), ["text", "text", "json"])
      assert.notInclude(all[0]?.tools ?? [], "final_answer")
    }).pipe(Effect.scoped))

  it.live("a model that takes the place of one with JSON schemas, and has none itself, gets the tool", () =>
    Effect.gen(function*() {
      const gone = AiError.make({
        module: "Test",
        method: "generateText",
        reason: new AiError.InvalidRequestError({ http: { response: { status: 404, headers: {} } } })
      })
      const First = Layer.effect(
        LanguageModel.LanguageModel,
        LanguageModel.make({ generateText: () => Effect.fail(gone), streamText: () => Stream.fail(gone) })
      )
      const scripted = yield* Layer.build(ScriptedModel.layer([final({ answer: [1] })]))
      const Second = Layer.succeedContext(Context.pick(LanguageModel.LanguageModel)(scripted))
      const plan = ModelLoop.plan(
        Layer.merge(First, Layer.succeed(OutputMode.OutputMode, "json-without-tools")),
        Layer.merge(Second, Layer.succeed(OutputMode.OutputMode, "tool"))
      )
      const loop: Parameters<typeof deskOf>[0] = (prompt) =>
        ModelLoop.run({ prompt, toolkit: Toolkit.empty, output: Schema.Array(Schema.Int), plan }).pipe(
          Effect.map(({ output }) => output),
          Effect.provideService(OutputMode.OutputMode, "json-without-tools")
        )
      const { ask } = yield* deskOf(loop, First)
      assert.deepStrictEqual((yield* ask()).body, [1])
      const [request] = yield* Effect.provideContext(ScriptedModel.Requests.use(({ all }) => all), scripted)
      assert.deepStrictEqual(request?.tools, ["final_answer"])
    }).pipe(Effect.scoped))

  it.live("a model that takes either a schema or tools gets the tool beside other tools", () =>
    Effect.gen(function*() {
      const { ask, requests } = yield* serve(verdict, "json-without-tools", final(valid))
      assert.deepInclude((yield* ask()).body, { order: 7, turns: 1 })
      assert.include((yield* requests)[0]?.tools ?? [], "final_answer")
    }).pipe(Effect.scoped))

  it.live("the beginning of an answer is none, although the schema takes any text", () =>
    Effect.gen(function*() {
      const loop: Parameters<typeof deskOf>[0] = (prompt) =>
        Effect.map(ModelLoop.run({ prompt, toolkit: Toolkit.empty, output: Schema.String }), ({ output }) => output)
      const cut = ScriptedModel.text("{\"answer\":\"half a", { reason: "length" })
      const short = yield* serve(loop, "tool", cut, final({ answer: "all" }))
      assert.strictEqual((yield* short.ask()).body, "all")
      const { ask } = yield* serve(loop, "tool", cut, cut)
      assert.deepInclude((yield* ask()).body, { title: "AnswerCut", status: 502 })
    }).pipe(Effect.scoped))

  it.live("the offline model gives one, with and without tools", () =>
    Effect.gen(function*() {
      const loop: Parameters<typeof deskOf>[0] = (question) =>
        Effect.provide(withoutTools(question), OfflineModel.layer)
      const { ask } = yield* deskOf(loop, OfflineModel.layer)
      assert.deepInclude((yield* ask("Which orders?")).body, { output: [] })
      const other: Parameters<typeof deskOf>[0] = (prompt) =>
        ModelLoop.run({ prompt, toolkit: Tools, output: Schema.Struct({ order: Schema.Int }) }).pipe(
          Effect.map(({ output, toolResults }) => ({ ...output, tools: toolResults.length })),
          Effect.provide(OfflineModel.layer)
        )
      const served = yield* deskOf(other, OfflineModel.layer)
      assert.deepStrictEqual((yield* served.ask("Look at order 7")).body, { order: 7, tools: 1 })
    }).pipe(Effect.scoped))
})

describe("The context of a model, over REST on SQLite", () => {
  const budget = Budget.layer.pipe(
    Layer.provide([
      BudgetStore.BudgetStore.layerMemory,
      Prices.layer({ tiny: { input: 1, output: 1, contextWindow: 1_000 } })
    ])
  )
  const served = Effect.fnUntraced(function*(...turns: ReadonlyArray<ScriptedModel.Turn>) {
    const context = yield* Layer.build(Model.make("acme", "tiny", ScriptedModel.layer(turns)))
    const loop: Parameters<typeof deskOf>[0] = (prompt) =>
      Effect.provideContext(
        Effect.map(ModelLoop.run({ prompt, toolkit: Tools }), ({ text }) => text),
        Context.omit(ScriptedModel.Requests)(context)
      )
    const desk = yield* deskOf(loop, Layer.succeedContext(context), { budget })
    return { ...desk, requests: Effect.provideContext(ScriptedModel.Requests.use(({ all }) => all), context) }
  })

  it.live("a prompt that cannot fit is refused before it is sent", () =>
    Effect.gen(function*() {
      const { ask, requests } = yield* served(ScriptedModel.text("Never."))
      const { body, events, status } = yield* ask("word ".repeat(2_000))
      assert.strictEqual(status, 413)
      assert.deepInclude(body, { title: "ContextExceeded" })
      assert.match(String(Object(body).detail), /about \d+ tokens/u)
      assert.strictEqual((yield* requests).length, 0)
      assert.notInclude(events.map(({ type }) => type), "llm_start")
    }).pipe(Effect.scoped))

  it.live("the provider's count decides about a later turn, and a prompt that may fit is sent", () =>
    Effect.gen(function*() {
      const look = (inputTokens: number) =>
        ScriptedModel.calls([{ name: "look", params: { order: 2 } }], { inputTokens, outputTokens: 10 })
      const { ask, requests } = yield* served(look(500), look(995), ScriptedModel.text("Never."))
      const { body } = yield* ask("word ".repeat(150))
      assert.include(String(Object(body).detail), "has 1005 tokens")
      assert.strictEqual((yield* requests).length, 2)
    }).pipe(Effect.scoped))
})
