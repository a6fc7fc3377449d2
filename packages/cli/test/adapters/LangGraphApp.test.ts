import { assert, describe, it } from "@effect/vitest"
import { LangGraph } from "@fastagentic/adapters/langgraph"
import { ProviderModel } from "@fastagentic/adapters/models"
import { Agent, App, Auth, Budget, Hook, RateLimit } from "@fastagentic/core"
import { Sqlite } from "@fastagentic/stores/sqlite"
import { MessagesAnnotation, START, StateGraph } from "@langchain/langgraph"
import { ToolNode, toolsCondition } from "@langchain/langgraph/prebuilt"
import { Context, Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as HttpServer from "effect/http/HttpServer"
import { join } from "node:path"
import { Server } from "../../src/index.ts"
import { temporaryFolder } from "../process.ts"
import { languageModel } from "./languageModel.ts"

class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { order: Schema.Int }, { httpApiStatus: 409 }) {}

class Desk extends Agent.make("desk", {
  description: "Answers",
  payload: { question: Schema.String },
  error: SoldOut
}) {}

class Asking extends Hook.make("asking", { suspends: true }) {}

const parameters = Schema.Struct({ order: Schema.Int })
const usage = { inputTokens: 10, outputTokens: 3 }

const toolkit = Toolkit.make(
  Tool.make("pay", { parameters, success: Schema.String, needsApproval: true }),
  Tool.make("refund", { parameters, success: Schema.String, failure: SoldOut })
)

type Call = { readonly id: string; readonly name: string; readonly args: { readonly order: number } }

interface Messages {
  readonly messages: Array<{ readonly role: string; readonly content: string }>
}

type Graph = (runtime: LangGraph.Runtime) => LangGraph.Graph<Messages, unknown>

/** A graph of one tool node whose model makes the calls, and then says what it has heard. */
const loop: Graph = ({ model, tools }) => {
  const asking = model().bindTools?.(tools) ?? model()
  return new StateGraph(MessagesAnnotation)
    .addNode("model", async ({ messages }, config) => ({ messages: [await asking.invoke(messages, config)] }))
    .addNode("tools", new ToolNode(tools))
    .addEdge(START, "model")
    .addConditionalEdges("model", toolsCondition)
    .addEdge("tools", "model")
    .compile()
}

/** A graph whose only node pays by itself. */
const paying =
  (pay: (order: number, once: (order: number) => Promise<unknown>) => Promise<ReadonlyArray<unknown>>): Graph =>
  ({ tools }) => {
    const tool = tools.find(({ name }) => name === "pay")
    return new StateGraph(MessagesAnnotation)
      .addNode("pays", async (_state, config) => {
        const said = await pay(1, async (order) => tool?.invoke({ order }, config))
        return { messages: [{ role: "assistant", content: said.join(", ") }] }
      })
      .addEdge(START, "pays")
      .compile()
  }

interface Serving {
  readonly calls?: ReadonlyArray<Call>
  readonly paid?: Array<number>
  readonly points?: Hook.Points
  readonly graph?: Graph
  readonly filename?: string
  /** A run that another server has started. */
  readonly earlier?: string
}

/** Serves an agent and starts a run of it. */
const serve = ({ calls = [], earlier, filename = ":memory:", graph = loop, paid = [], points = {} }: Serving) =>
  Effect.gen(function*() {
    const model = languageModel((answers, { prompt }) => ({
      texts: answers === 0 ? [] : [JSON.stringify(prompt.filter(({ role }) => role === "tool"))],
      usage,
      calls: answers === 0 ? calls : []
    }))
    const input = ({ question }: { readonly question: string }) => ({ messages: [{ role: "user", content: question }] })
    const handlers = LangGraph.layer(Desk, graph, { input, toolkit }).pipe(Layer.provide([
      ProviderModel.layer(model),
      toolkit.toLayer({
        pay: ({ order }) =>
          Effect.sync(() => {
            paid.push(order)
            return `order ${order} is paid`
          }),
        refund: ({ order }) => Effect.fail(new SoldOut({ order }))
      })
    ]))
    const app = App.make("shop", { version: "1", agents: [Desk.hook(Asking)] })
    const context = yield* Layer.build(
      Layer.fresh(Server.layer(app, { port: 0 })).pipe(Layer.provide([
        handlers,
        Asking.toLayer(points),
        Auth.layerNone,
        RateLimit.layerUnlimited,
        Budget.layerUnlimited,
        Sqlite.layer({ filename })
      ]))
    )
    const { address } = Context.get(context, HttpServer.HttpServer)
    const url = `http://127.0.0.1:${"port" in address ? address.port : 0}`
    const request = (path: string, body?: object) =>
      Effect.promise(async () => {
        const response = await fetch(url + path, {
          method: body === undefined ? "GET" : "POST",
          headers: { accept: "application/json", "content-type": "application/json" },
          ...(body === undefined ? {} : { body: JSON.stringify(body) })
        })
        return Object(await response.json())
      })
    const { runId } = earlier === undefined
      ? yield* request("/agents/desk/runs", { question: "Pay" })
      : { runId: earlier }
    const until = (...states: ReadonlyArray<string>) =>
      Effect.gen(function*() {
        for (let tries = 0; tries < 500; tries++) {
          const run = yield* request(`/runs/${runId}`)
          if (states.includes(run.state)) return run
          yield* Effect.sleep("10 millis")
        }
        return yield* request(`/runs/${runId}`)
      })
    const open = Effect.map(
      request(`/runs/${runId}/interrupts`),
      ({ items }): ReadonlyArray<{ id: string; state: string; arguments: { order: number } }> =>
        items.filter((one: { state: string }) => one.state === "open")
    )
    const decide = (id: string, decision: object) => request(`/runs/${runId}/interrupts/${id}`, decision)
    const pathsOf = (type: string) =>
      Effect.map(
        request(`/runs/${runId}/events?limit=1000`),
        ({ items }): ReadonlyArray<unknown> =>
          items.flatMap((event: { type: string; path?: unknown }) => event.type === type ? [event.path] : [])
      )
    return { runId: String(runId), until, open, decide, pathsOf }
  })

describe("a graph of the app's tools", () => {
  it.live("never takes the decision about one call for another call of the same node", () =>
    Effect.gen(function*() {
      const paid: Array<number> = []
      const calls = [1, 2, 3].map((order) => ({ id: `c${order}`, name: "pay", args: { order } }))
      const server = yield* serve({ calls, paid })
      for (let answered = 0; answered < 3;) {
        const { state } = yield* server.until("suspended", "completed", "failed")
        if (state !== "suspended") break
        for (const one of yield* server.open) {
          answered++
          yield* server.decide(
            one.id,
            one.arguments.order === 2 ? { decision: "deny", reason: "no" } : { decision: "approve" }
          )
        }
      }
      const { output, state } = yield* server.until("completed", "failed")
      assert.strictEqual(state, "completed")
      assert.deepStrictEqual(paid.toSorted(), [1, 3])
      assert.include(output, "order 3 is paid")
      assert.notInclude(output, "order 2 is paid")
      for (
        const [type, path] of [["llm_start", ["model"]], ["tool_start", ["tools"]], ["tool_result", ["tools"]]] as const
      ) {
        for (const found of yield* server.pathsOf(type)) assert.deepStrictEqual(found, path, type)
      }
    }).pipe(Effect.scoped))

  it.live("ends with the declared failure of a tool, although its node answers errors itself", () =>
    Effect.gen(function*() {
      const server = yield* serve({ calls: [{ id: "c1", name: "refund", args: { order: 4 } }] })
      const { error, state } = yield* server.until("completed", "failed")
      assert.strictEqual(state, "failed")
      assert.deepInclude(error, { status: 409, declared: true })
    }).pipe(Effect.scoped))

  it.live("waits where a hook around a tool asks a human", () =>
    Effect.gen(function*() {
      const paid: Array<number> = []
      const server = yield* serve({
        calls: [{ id: "c1", name: "pay", args: { order: 1 } }],
        paid,
        points: { tool: (call, next) => Effect.flatMap(Hook.suspend(Asking, call, { message: "sure?" }), next) }
      })
      for (let count = 0; count < 2; count++) {
        assert.strictEqual((yield* server.until("suspended", "completed", "failed")).state, "suspended")
        for (const { id } of yield* server.open) yield* server.decide(id, { decision: "approve" })
      }
      assert.strictEqual((yield* server.until("completed", "failed")).state, "completed")
      assert.deepStrictEqual(paid, [1])
    }).pipe(Effect.scoped))

  it.live("makes a call of a node's own code once for its approval, over a restart too", () =>
    Effect.gen(function*() {
      const paid: Array<number> = []
      const graph = paying(async (order, once) => [await once(order), await once(order)])
      const filename = join(temporaryFolder(), "desk.db")
      const approve = (server: Effect.Success<ReturnType<typeof serve>>) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* server.until("suspended", "completed", "failed")).state, "suspended")
          const [one] = yield* server.open
          yield* server.decide(one?.id ?? "", { decision: "approve" })
        })
      const runId = yield* Effect.scoped(Effect.gen(function*() {
        const server = yield* serve({ paid, graph, filename })
        yield* approve(server)
        for (let tries = 0; tries < 500 && (paid.length === 0 || (yield* server.open).length === 0); tries++) {
          yield* Effect.sleep("10 millis")
        }
        return server.runId
      }))
      assert.deepStrictEqual(paid, [1])
      const server = yield* serve({ paid, graph, filename, earlier: runId })
      yield* approve(server)
      const { output, state } = yield* server.until("completed", "failed")
      assert.deepStrictEqual({ state, output }, { state: "completed", output: "order 1 is paid, order 1 is paid" })
      assert.deepStrictEqual(paid, [1, 1])
    }).pipe(Effect.scoped))

  it.live("refuses equal calls of a node's own code side by side", () =>
    Effect.gen(function*() {
      const paid: Array<number> = []
      const graph = paying((order, once) => Promise.all([once(order), once(order)]))
      const server = yield* serve({ paid, graph })
      const { error, state } = yield* server.until("suspended", "completed", "failed")
      assert.deepStrictEqual({ state, tag: error?.tag }, { state: "failed", tag: "AmbiguousName" })
      assert.deepStrictEqual(paid, [])
    }).pipe(Effect.scoped))
})
