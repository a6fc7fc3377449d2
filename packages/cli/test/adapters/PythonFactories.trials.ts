// Agents of Python that a factory makes: their models and tools are those of the app, through its door, hooks and budget.
import { assert, describe, it } from "@effect/vitest"
import { Python } from "@fastagentic/adapters/python"
import { NamedModels } from "@fastagentic/core/run/NamedModels"
import { Context, Effect, Layer, Schema } from "effect"
import * as Model from "effect/ai/Model"
import { Agent, App, type Budget, Hook } from "fastagentic"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Play, suite } from "../../src/adapter-contract.ts"
import * as AppParts from "../../src/internal/contract/appParts.ts"
import * as Stage from "../../src/internal/contract/stage.ts"
import { temporaryFolder } from "../process.ts"
import { onSqlite } from "../serving.ts"
import { pythonWith } from "./environments.ts"
import { describeWith, python } from "./interpreters.ts"
import { performing } from "./sharedProcesses.ts"

// A model of the app fails with an error of its own, which is none that the agent declares.
const declares = false

describeWith("A factory of PydanticAI", pythonWith("pydantic-ai"), (interpreter) =>
  suite("A factory of PydanticAI", {
    capabilities: Python.factory(Python.framework),
    declares,
    perform: performing(interpreter, "pydantic_factory.py:agent", { isFactory: true })
  }))

/** A run of a framework with the model and the tools of the app, and an approval that edits a call. */
const playsWithTheApp = (name: string, interpreter: string, entrypoint: string) => {
  const perform = performing(interpreter, entrypoint, { isFactory: true })
  it.live(`${name} has the model and the tools of the app`, () =>
    Effect.gen(function*() {
      const play = new Play()
      const server = yield* Stage.serve({ perform, durable: true, play })
      const { state, usage } = yield* server.ended(yield* server.start("plain"))
      assert.strictEqual(state, "completed")
      assert.deepStrictEqual(play.ended, ["model 0", "tool look", "model 1", "tool refund", "model 2"])
      assert.deepInclude(usage, { inputTokens: 30, outputTokens: 9 })
      const runId = yield* server.start("approve")
      yield* server.until(runId, "suspended", "completed", "failed")
      const [one] = yield* server.open(runId)
      yield* server.request("POST", `/runs/${runId}/interrupts/${one?.id}`, { decision: "edit", value: { order: 5 } })
      assert.strictEqual((yield* server.ended(runId)).state, "completed")
      assert.deepStrictEqual(play.args.at(-1), { order: 5 })
    }).pipe(Effect.scoped), 120_000)
}

describeWith("Factories of LangGraph for Python", pythonWith("langgraph"), (interpreter) => {
  playsWithTheApp("a graph of LangGraph for Python", interpreter, "graph_factory.py:graph")
  playsWithTheApp("an agent of LangChain for Python", interpreter, "graph_factory.py:agent")
})

describeWith(
  "A factory of CrewAI",
  pythonWith("crewai"),
  (interpreter) => playsWithTheApp("a crew", interpreter, "crew_factory.py:crew")
)

const payload = { order: Schema.Int }
const success = Schema.Json
class Shop extends Agent.make("shop", { description: "Looks after orders", payload, success }) {}
class Threaded extends Agent.make("threaded", { description: "The same in a thread", payload, success }) {}
class Hooking extends Agent.make("hooking", { description: "Charges orders", payload, success }) {}
class Stray extends Agent.make("stray", {
  description: "Uses what it does not have",
  payload: { what: Schema.String },
  success
}) {}
class Watch extends Hook.make("watch") {}

const cwd = fileURLToPath(new URL("python", import.meta.url))

class Direct extends Agent.make("direct", { description: "A node that calls a tool", payload, success }) {}

describeWith(
  "A factory of a graph",
  pythonWith("langgraph"),
  (interpreter) =>
    it.live("has nodes that call tools of the app, and the checkpoints of its run", () =>
      Effect.gen(function*() {
        const play = new Play()
        const options = { entrypoint: "graph_factory.py:direct", interpreter, cwd, toolkit: AppParts.toolkit }
        const app = App.make("direct", { version: "1", agents: [Direct] })
        const handlers = Layer.provide(Layer.orDie(Python.layer(Direct, options)), AppParts.layerTools(() => play))
        const { url } = yield* onSqlite(app, handlers, join(temporaryFolder(), "direct.db"))
        const answer = yield* Effect.promise(async () => {
          const headers = { "content-type": "application/json" }
          const body = JSON.stringify({ order: 3 })
          return Object(await (await fetch(`${url}/agents/direct`, { method: "POST", headers, body })).json())
        })
        assert.deepStrictEqual(answer, { order: 3, seen: "look of 3 is done", kept: true })
      }).pipe(Effect.scoped), 60_000)
)

describeWith("Factories of plain callables", python, (interpreter) =>
  describe("Factories of plain callables", () => {
    const serve = Effect.fnUntraced(function*(
      play: Play,
      seen: Array<string>,
      { budget, points = {} }: { readonly budget?: Layer.Layer<Budget.Budget>; readonly points?: Hook.Points } = {}
    ) {
      const agents = [Shop, Threaded, Hooking, Stray] as const
      const app = App.make("factories", { version: "1", agents }).hook(Watch)
      const model = AppParts.layerModel(() => play)
      const named = Layer.effect(
        NamedModels,
        Effect.map(Layer.build(model), (made) => ({ second: Context.add(made, Model.ModelName, "play-2") }))
      )
      const handlers = Layer.mergeAll(
        Python.layer(Shop, { entrypoint: "factories.py:shop", interpreter, cwd, toolkit: AppParts.toolkit }),
        Python.layer(Threaded, { entrypoint: "factories.py:threaded", interpreter, cwd, toolkit: AppParts.toolkit }),
        Python.layer(Hooking, { entrypoint: "factories.py:hooking", interpreter, cwd }),
        Python.layer(Stray, { entrypoint: "factories.py:stray", interpreter, cwd, toolkit: AppParts.toolkit })
      ).pipe(Layer.orDie, Layer.provide([AppParts.layerTools(() => play), named, model]))
      const hooks = Watch.toLayer({
        tool: (call, next) => {
          seen.push(`${call.name} ${JSON.stringify(call.arguments)}`)
          return next(call)
        },
        llm: (call, next) => {
          seen.push(`model ${call.model}`)
          return next(call)
        },
        ...points
      })
      const folder = temporaryFolder()
      const options = budget === undefined ? {} : { budget }
      const { url } = yield* onSqlite(app, Layer.merge(handlers, hooks), join(folder, "factories.db"), options)
      const request = (method: "GET" | "POST", path: string, body?: object) =>
        Effect.promise(async () => {
          const headers = { accept: "application/json", "content-type": "application/json" }
          const response = await fetch(url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) })
          const json: unknown = await response.json()
          return Object(json)
        })
      const until = Effect.fnUntraced(function*(runId: string, ...states: ReadonlyArray<string>) {
        for (let tries = 0; tries < 400; tries++) {
          const run = yield* request("GET", `/runs/${runId}`)
          if (states.includes(String(run.state))) return run
          yield* Effect.sleep("25 millis")
        }
        return yield* request("GET", `/runs/${runId}`)
      })
      const start = (agent: string, body: object) =>
        Effect.map(request("POST", `/agents/${agent}/runs`, body), ({ runId }) => String(runId))
      return { request, start, until }
    })
    const ends = ["completed", "failed", "cancelled"]

    it.live("get the tools and models of the app, whose approvals and hooks hold", () =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        const play = new Play()
        const server = yield* serve(play, seen)
        const agents = (yield* server.request("GET", "/agents")).items
        const shop = agents.find(({ identifier }: { readonly identifier: string }) => identifier === "shop")
        assert.deepInclude(shop.adapter.capabilities, {
          toolInjection: "factory",
          budget: true,
          usage: true
        })
        for (const [decision, paid] of [["approve", "pay of 3 is done"], ["deny", { denied: true }]] as const) {
          const runId = yield* server.start("shop", { order: 3 })
          yield* server.until(runId, "suspended", ...ends)
          const [asked] = (yield* server.request("GET", `/runs/${runId}/interrupts`)).items
          assert.deepInclude(asked, { tool: "pay", arguments: { order: 3 } })
          yield* server.request("POST", `/runs/${runId}/interrupts/${asked.id}`, { decision, reason: "no" })
          const { error, output, state } = yield* server.until(runId, ...ends)
          assert.strictEqual(state, "completed", JSON.stringify(error))
          assert.deepInclude(output, { words: "This is one.", seen: ["look of 3 is done", "look of 4 is done"] })
          assert.deepStrictEqual(output.ids[0], runId)
          if (typeof paid === "string") assert.strictEqual(output.paid, paid)
          else assert.deepInclude(output.paid, paid)
        }
        assert.includeMembers(seen, ["look {\"order\":3}", "pay {\"order\":3}", "model play-1"])
        assert.strictEqual(play.ended.filter((point) => point === "tool look").length, 4)
      }).pipe(Effect.scoped), 60_000)

    it.live("serve code in threads, and tools of their own through the hooks of the app", () =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        const server = yield* serve(new Play(), seen)
        const threaded = yield* server.until(yield* server.start("threaded", { order: 3 }), ...ends)
        assert.deepStrictEqual(threaded.output, ["look of 3 is done", "This is one.", "3 in run"])
        assert.includeMembers(seen, ["stamp {\"order\":3}", "model play-2"])
        const runId = yield* server.start("hooking", { order: 2 })
        assert.deepStrictEqual((yield* server.until(runId, ...ends)).output, [205, 205, 207])
        const { items } = yield* server.request("GET", `/runs/${runId}/events?limit=1000`)
        const results = items.filter(({ type }: { readonly type: string }) => type === "tool_result")
        assert.strictEqual(
          new Set(results.map(({ data }: { readonly data: { readonly toolCallId: string } }) => data.toolCallId)).size,
          3
        )
      }).pipe(Effect.scoped), 60_000)

    it.live("end with a hard budget, and with what the app does not give", () =>
      Effect.gen(function*() {
        const server = yield* serve(new Play(), [], { budget: Stage.limited(0.000_01) })
        const broke = yield* server.until(yield* server.start("stray", { what: "words" }), ...ends)
        assert.deepInclude(broke.error, { tag: "BudgetExceeded" })
        for (const [what, tag] of [["tool", "InternalError"], ["model", "ModelUnknown"]] as const) {
          const { error, state } = yield* server.until(yield* server.start("stray", { what }), ...ends)
          assert.deepStrictEqual({ state, tag: error?.tag }, { state: "failed", tag })
        }
      }).pipe(Effect.scoped), 60_000)

    it.live("ask the model that a hook of the app names", () =>
      Effect.gen(function*() {
        const points: Hook.Points = { llm: (call, next) => next({ ...call, model: "second" }) }
        const server = yield* serve(new Play(), [], { points })
        const runId = yield* server.start("stray", { what: "words" })
        assert.strictEqual((yield* server.until(runId, ...ends)).output, "This is one.")
        const { items } = yield* server.request("GET", `/runs/${runId}/events?limit=1000`)
        const started = items.find(({ type }: { readonly type: string }) => type === "llm_start")
        assert.strictEqual(started.data.model, "play-2")
      }).pipe(Effect.scoped), 60_000)

    it.live("cannot make two calls side by side that nothing tells apart", () =>
      Effect.gen(function*() {
        const play = new Play()
        const server = yield* serve(play, [])
        for (const what of ["same tools", "same models"]) {
          const { error, state } = yield* server.until(yield* server.start("stray", { what }), ...ends)
          assert.deepStrictEqual({ state, tag: error?.tag }, { state: "failed", tag: "AmbiguousName" })
        }
      }).pipe(Effect.scoped), 60_000)

    it.live("are refused when they are async", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Python.discover({ entrypoint: "factories.py:slow", interpreter, cwd }))
        assert.match(error.message, /a factory gives the agent back at once/u)
      }).pipe(Effect.scoped))
  }))
