import { assert, describe, it } from "@effect/vitest"
import { AiSdk } from "@fastagentic/adapters/ai-sdk"
import { ProviderModel } from "@fastagentic/adapters/models"
import { Agent, App, Auth, Budget, Policy, Principal, RateLimit } from "@fastagentic/core"
import { NamedModels } from "@fastagentic/core/run/NamedModels"
import { Sqlite } from "@fastagentic/stores/sqlite"
import { jsonSchema, Output, ToolLoopAgent } from "ai"
import { Cause, Context, Effect, Exit, Layer, Redacted, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as HttpServer from "effect/http/HttpServer"
import { Server } from "../../src/index.ts"
import { languageModel } from "./languageModel.ts"

class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { order: Schema.Int }, { httpApiStatus: 409 }) {}

const parameters = Schema.Struct({ order: Schema.Int })

const tools = Toolkit.make(
  Tool.make("refund", { parameters, success: Schema.String, failure: SoldOut }),
  Tool.make("vault", { parameters, success: Schema.String }).annotate(Policy.Scopes, ["vault:open"])
)

const opened: Array<number> = []

const layerTools = tools.toLayer({
  vault: ({ order }) =>
    Effect.sync(() => {
      opened.push(order)
      return "gold"
    }),
  refund: ({ order }) =>
    order === 7 ? Effect.fail(new SoldOut({ order })) : Effect.succeed(`order ${order} is paid back`)
})

const usage = { inputTokens: 10, outputTokens: 3 }

/** Calls the tool for an order, and then says its own name. */
const modelOf = (name: string, order: number, tool = "refund") =>
  languageModel((answers) =>
    answers === 0
      ? { texts: [], usage, calls: [{ id: "1", name: tool, args: { order } }] }
      : { texts: [`I am ${name}.`], usage, calls: [] }
  )

class Desk extends Agent.make("desk", {
  description: "Answers",
  payload: { question: Schema.String },
  error: SoldOut,
  model: "cheap"
}) {}

/** A caller without any scope. */
const people = Auth.layerKeys([{
  key: Redacted.make("ann"),
  principal: new Principal.Principal({ id: "ann", tenant: "acme", scopes: [], roles: [], claims: {} })
}])

const serve = (handlers: Layer.Layer<Agent.Handler<"desk">, unknown>, auth = Auth.layerNone) =>
  Effect.gen(function*() {
    const app = App.make("shop", { version: "1", agents: [Desk] })
    const context = yield* Layer.build(
      Layer.fresh(Server.layer(app, { port: 0 })).pipe(Layer.provide([
        handlers,
        auth,
        RateLimit.layerUnlimited,
        Budget.layerUnlimited,
        Sqlite.layer({ filename: ":memory:" })
      ]))
    )
    const { address } = Context.get(context, HttpServer.HttpServer)
    const url = `http://127.0.0.1:${"port" in address ? address.port : 0}/agents/desk`
    return yield* Effect.promise(async () => {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: "Bearer ann" },
        body: JSON.stringify({ question: "Pay it back" })
      })
      return { status: response.status, body: JSON.stringify(await response.json()) }
    })
  })

const named = (models: Record<string, ReturnType<typeof modelOf>>) =>
  Layer.effect(
    NamedModels,
    Effect.map(
      Effect.forEach(
        Object.entries(models),
        ([name, model]) => Effect.map(Layer.build(ProviderModel.layer(model)), (made) => [name, made] as const)
      ),
      Object.fromEntries
    )
  )

const desk = (make: (run: AiSdk.Runtime) => AiSdk.LoopAgent) =>
  AiSdk.layer(Desk, make, { prompt: ({ question }) => question, toolkit: tools }).pipe(Layer.provide(layerTools))

describe("an agent that a function of the run makes", () => {
  it.live("asks the model that the agent declares, and another one by its name", () =>
    Effect.gen(function*() {
      const models = named({ cheap: modelOf("cheap", 1), dear: modelOf("dear", 1) })
      const own = desk(({ model, tools }) => new ToolLoopAgent({ model: model(), tools }))
      assert.include((yield* serve(own.pipe(Layer.provide(models)))).body, "I am cheap.")
      const other = desk(({ model, tools }) => new ToolLoopAgent({ model: model("dear"), tools }))
      assert.include((yield* serve(other.pipe(Layer.provide(models)))).body, "I am dear.")
    }).pipe(Effect.scoped))

  it.live("asks with the settings of the app's model, and with its own before them", () =>
    Effect.gen(function*() {
      const asked: Array<object> = []
      const model = languageModel((_answers, { headers, seed, temperature }) => {
        asked.push({ shop: headers?.["x-shop"], seed, temperature })
        return { texts: ["Yes."], usage, calls: [] }
      })
      const settings = { headers: { "x-shop": "one" }, seed: 1, temperature: 0.1 }
      const models = Layer.effect(
        NamedModels,
        Effect.map(Layer.build(ProviderModel.layer(model, { settings })), (cheap) => ({ cheap }))
      )
      const handler = desk(({ model }) => new ToolLoopAgent({ model: model(), temperature: 0.7 }))
      assert.include((yield* serve(handler.pipe(Layer.provide(models)))).body, "Yes.")
      assert.deepStrictEqual(asked, [{ shop: "one", seed: 1, temperature: 0.7 }])
    }).pipe(Effect.scoped))

  it.live("fails with the name of a model that the app does not have", () =>
    Effect.gen(function*() {
      const handler = desk(({ model, tools }) => new ToolLoopAgent({ model: model("huge"), tools }))
      const { body, status } = yield* serve(handler.pipe(Layer.provide(named({ cheap: modelOf("cheap", 1) }))))
      assert.strictEqual(status, 500)
      assert.include(body, "No model is named \\\"huge\\\"")
    }).pipe(Effect.scoped))

  it.live("does not start when the agent declares a model that the app does not have", () =>
    Effect.gen(function*() {
      const handler = desk(({ model, tools }) => new ToolLoopAgent({ model: model(), tools }))
      const exit = yield* Effect.exit(serve(handler.pipe(Layer.provide(named({ dear: modelOf("dear", 1) })))))
      assert.isTrue(Exit.isFailure(exit))
      if (Exit.isFailure(exit)) assert.match(Cause.pretty(exit.cause), /agent "desk": no model is named "cheap"/u)
    }).pipe(Effect.scoped))

  it.live("ends with the declared failure of a tool, whatever its framework makes of it", () =>
    Effect.gen(function*() {
      const handler = desk(({ model, tools }) => new ToolLoopAgent({ model: model(), tools }))
      const { body, status } = yield* serve(handler.pipe(Layer.provide(named({ cheap: modelOf("cheap", 7) }))))
      assert.strictEqual(status, 409)
      assert.include(body, "SoldOut")
    }).pipe(Effect.scoped))

  it.live("calls no tool of the app for a caller without its scope", () =>
    Effect.gen(function*() {
      const handler = desk(({ model, tools }) => new ToolLoopAgent({ model: model(), tools }))
      const models = named({ cheap: modelOf("cheap", 1, "vault") })
      const { body, status } = yield* serve(handler.pipe(Layer.provide(models)), people)
      assert.deepStrictEqual({ status, opened }, { status: 200, opened: [] })
      assert.include(body, "I am cheap.")
      yield* serve(handler.pipe(Layer.provide(models)))
      assert.deepStrictEqual(opened, [1])
    }).pipe(Effect.scoped))

  it.live("gets an answer of a schema from a model of the app", () =>
    Effect.gen(function*() {
      const answer = { texts: [], usage, calls: [{ id: "1", name: "final_answer", args: { order: 5 } }] }
      const model = languageModel(() => answer)
      const schema = jsonSchema<{ order: number }>({
        type: "object",
        properties: { order: { type: "integer" } },
        required: ["order"]
      })
      const handler = AiSdk.layer(
        Desk,
        ({ model }) => new ToolLoopAgent({ model: model(), output: Output.object({ schema }) }),
        { prompt: ({ question }) => question, output: ({ output }) => `order ${JSON.stringify(output)}` }
      )
      const { body } = yield* serve(handler.pipe(Layer.provide(named({ cheap: model }))))
      assert.include(body, "{\\\"order\\\":5}")
    }).pipe(Effect.scoped))

  it("is the only one that gets tools of the app", () => {
    const made = new ToolLoopAgent({ model: modelOf("own", 1) })
    assert.throws(
      () => AiSdk.layer(Desk, made, { prompt: ({ question }) => question, toolkit: tools }),
      /give it a function \(run\) => agent/u
    )
  })
})
