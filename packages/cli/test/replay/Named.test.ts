import { assert, describe, it } from "@effect/vitest"
import { Sqlite } from "@fastagentic/stores/sqlite"
import { Effect, Layer, Schema } from "effect"
import { Toolkit } from "effect/ai"
import { Agent, App, Audit, Auth, Budget, Hook, Prices, RateLimit, Run, Server } from "fastagentic"
import { ModelLoop, OfflineModel } from "fastagentic/effect-ai"
import { Models } from "fastagentic/models"
import { join } from "node:path"
import { temporaryFolder } from "../process.ts"
import { urlOf } from "../serving.ts"
import { type Answer, replayServer } from "./replayServer.ts"
import { closing, shapes } from "./shapes.ts"

class Cheaper extends Hook.make("test/cheaper") {}
const CheaperLayer = Cheaper.toLayer({ llm: (call, next) => next({ ...call, model: "fast" }) })

const declared = { description: "Talks", payload: {}, success: Schema.String }
class Deep extends Agent.make("deep", declared) {}
class Quick extends Agent.make("quick", declared) {}
class Steered extends Agent.make("steered", declared).hook(Cheaper) {}
class Lost extends Agent.make("lost", declared) {}
class Named extends Agent.make("named", { ...declared, model: "fast" }) {}
class Overruled extends Agent.make("overruled", { ...declared, model: "fast" }) {}
class Lead extends Agent.make("lead", { ...declared, model: "smart" }) {}
class Judge extends Agent.make("judge", {
  description: "Judges",
  payload: {},
  success: Schema.Struct({ order: Schema.Int }),
  model: "fast"
}) {}
class Astray extends Agent.make("astray", { ...declared, model: "unheard" }) {}

class Talk extends App.make("talk", {
  version: "1",
  agents: [Deep, Quick, Steered, Lost, Named, Overruled, Lead, Judge]
}) {}
class Lone extends App.make("lone", { version: "1", agents: [Astray] }) {}

const loop = (model?: string) =>
  ModelLoop.run({
    prompt: "Talk.",
    toolkit: Toolkit.empty,
    maxOutputTokens: 100,
    ...(model === undefined ? {} : { model })
  }).pipe(Effect.map(({ text }) => text), Effect.orDie)

const Agents = Layer.mergeAll(
  Deep.toLayer(() => loop()),
  Quick.toLayer(() => loop("fast")),
  Steered.toLayer(() => loop()),
  Lost.toLayer(() => loop("unheard")),
  Named.toLayer(() => loop()),
  Overruled.toLayer(() => loop("smart")),
  Lead.toLayer(() => Effect.orDie(Run.delegate(Named, {}))),
  Judge.toLayer(() =>
    ModelLoop.run({ prompt: "Judge.", toolkit: Toolkit.empty, output: Judge.successSchema }).pipe(
      Effect.map(({ output }) => output),
      Effect.orDie
    )
  ),
  CheaperLayer
)

/** An answer in these words. */
const saying = (text: string): Answer => ({
  ...closing,
  body: String(closing.body).replace("\"Done.\"", JSON.stringify(text))
})

const Listed = Schema.Struct({
  items: Schema.Array(Schema.Struct({ identifier: Schema.String, model: Schema.optionalKey(Schema.String) }))
})

const modelsAt = (baseUrl: string) =>
  Layer.orDie(Models.layerNamed({ smart: { model: "big", baseUrl }, fast: { model: "small", baseUrl } }))

/** A server whose two models are on one replay server, and the model of each request. */
const served = Effect.fnUntraced(function*<E>(budget: Layer.Layer<Budget.Budget, E>) {
  const replay = yield* Effect.acquireRelease(Effect.promise(replayServer), ({ stop }) => Effect.promise(stop))
  replay.prepare([], closing)
  const context = yield* Layer.build(
    Server.layer(Talk, { port: 0, grace: "200 millis" }).pipe(
      Layer.provide(Layer.provide(Agents, modelsAt(replay.url))),
      Layer.provide([Auth.layerNone, RateLimit.layerUnlimited, Audit.layerMemory, budget]),
      Layer.provide(Sqlite.layer({ filename: join(temporaryFolder(), "named.db") }))
    )
  )
  const call = (agent: string) =>
    Effect.promise(async () => {
      const response = await fetch(`${urlOf(context)}/agents/${agent}/stream`, { method: "POST", body: "{}" })
      return await response.text()
    })
  const prepare = (answer: Answer) => replay.prepare([answer], closing)
  const list = Effect.promise(async () => {
    const response = await fetch(`${urlOf(context)}/agents`)
    return Schema.decodeUnknownSync(Listed)(await response.json()).items
  })
  return { call, list, prepare, sent: () => replay.received.map(({ body }) => body["model"]) }
})

const budgetOf = (limit: Pick<Budget.Limit, "soft" | "hard" | "atSoft">) => {
  const limits = Budget.limits([{ name: "daily", per: "user", period: "day", ...limit }])
  const prices = Prices.layer({ big: { input: 1, output: 10 }, small: { input: 0.1, output: 1 } })
  const store = Sqlite.layer({ filename: join(temporaryFolder(), "budget.db") })
  return Budget.layer.pipe(Layer.provide([limits, prices]), Layer.provide(Layer.orDie(store)))
}

describe("models of an app by name, over REST on SQLite", () => {
  it.live("an agent uses the model that its loop names, the first one by default, and a hook names another", () =>
    Effect.gen(function*() {
      const { call, sent } = yield* served(Budget.layerUnlimited)
      for (const [agent, model] of [["deep", "big"], ["quick", "small"], ["steered", "small"]] as const) {
        const events = yield* call(agent)
        assert.include(events, "Done.")
        assert.strictEqual(sent().at(-1), model)
        assert.include(events, `"model":"${model}"`)
      }
      const lost = yield* call("lost")
      assert.include(lost, "ModelUnknown")
      assert.include(lost, "the names are smart, fast")
      assert.strictEqual(sent().length, 3)
    }).pipe(Effect.scoped))

  it.live("an agent's declaration names its model, for structured answers too, unless its loop names another", () =>
    Effect.gen(function*() {
      const { call, list, prepare, sent } = yield* served(Budget.layerUnlimited)
      // A delegated run has the model of its own declaration.
      for (const [agent, model] of [["named", "small"], ["overruled", "big"], ["lead", "small"]] as const) {
        assert.include(yield* call(agent), "Done.")
        assert.strictEqual(sent().at(-1), model)
      }
      prepare(saying("{\"order\":7}"))
      assert.include(yield* call("judge"), "\"output\":{\"order\":7}")
      assert.strictEqual(sent().at(-1), "small")
      const shown = new Map((yield* list).map(({ identifier, model }) => [identifier, model]))
      assert.strictEqual(shown.get("named"), "fast")
      assert.strictEqual(shown.get("deep"), undefined)
    }).pipe(Effect.scoped))

  const lone = (AstrayLayer: Layer.Layer<Agent.Handler<"astray">>) =>
    Layer.build(
      Server.layer(Lone, { port: 0, grace: "200 millis" }).pipe(
        Layer.provide(AstrayLayer),
        Layer.provide([Auth.layerNone, RateLimit.layerUnlimited, Audit.layerMemory, Budget.layerUnlimited]),
        Layer.provide(Sqlite.layer({ filename: join(temporaryFolder(), "lone.db") }))
      )
    )

  it.live("a server does not start when an agent declares a model that the app does not have", () =>
    Effect.gen(function*() {
      const handler = Layer.provide(Astray.toLayer(() => loop()), modelsAt("http://127.0.0.1:1"))
      const { message } = yield* Effect.flip(lone(handler))
      assert.include(message, "agent \"astray\": no model is named \"unheard\": the names are smart, fast")
    }).pipe(Effect.scoped))

  it.live("a loop whose agent declares a model ends with a typed error when no model has a name", () =>
    Effect.gen(function*() {
      const context = yield* lone(Layer.provide(Astray.toLayer(() => loop()), OfflineModel.layer))
      const response = yield* Effect.promise(() =>
        fetch(`${urlOf(context)}/agents/astray`, { method: "POST", body: "{}" })
      )
      const words = yield* Effect.promise(() => response.text())
      assert.include(words, "ModelUnknown")
      assert.include(words, "Name it in Models.layerNamed")
    }).pipe(Effect.scoped))

  it.live("a budget changes to another model of the app, without a list in each loop", () =>
    Effect.gen(function*() {
      const { call, sent } = yield* served(budgetOf({ soft: 0, hard: 100, atSoft: { big: "small" } }))
      const events = yield* call("deep")
      assert.include(events, "\"decision\":\"downgrade\"")
      assert.deepStrictEqual(sent(), ["small"])
    }).pipe(Effect.scoped))

  it.live("a call whose provider reports no usage costs what was reserved, and its usage says that it is an estimate", () =>
    Effect.gen(function*() {
      const { call, prepare } = yield* served(budgetOf({ hard: 100 }))
      prepare(shapes.find(({ name }) => name === "no usage")?.answer ?? closing)
      const estimated = yield* call("deep")
      assert.match(estimated, /"isEstimate":true[^\n]*"costUsd":0\.00[1-9]/u)
      prepare(closing)
      const reported = yield* call("deep")
      assert.include(reported, "\"costUsd\"")
      assert.notInclude(reported, "isEstimate")
    }).pipe(Effect.scoped))
})
