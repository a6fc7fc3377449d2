import { assert, describe, it } from "@effect/vitest"
import { LangGraph } from "@fastagentic/adapters/langgraph"
import { Budget, BudgetStore, Prices, Runtime } from "@fastagentic/core"
import { Effect, Layer } from "effect"
import { FakeModel } from "./fakeModel.ts"
import { Ask, ask, caller, input, journal, ofType, row, serve, start } from "./support.ts"

class Limited extends FakeModel {
  override getLsParams() {
    return { ...super.getLsParams(), ls_max_tokens: 1_000 }
  }
}

const budgetOf = (limit: Partial<Budget.Limit>) =>
  Budget.layer.pipe(Layer.provide([
    BudgetStore.BudgetStore.layerMemory,
    Prices.layer({ "fake-1": { input: 1, output: 10 } }),
    Layer.orDie(Budget.limits([{ name: "run", per: "run", period: "total", hard: 1, ...limit }]))
  ]))

const served = (model: FakeModel, limit: Partial<Budget.Limit>) => {
  const graph = row({ speak: () => model.invoke("Say something.") })
  return serve(LangGraph.layer(Ask, graph, { ...input, output: () => "done" }), {}, budgetOf(limit))
}

const run = (model: FakeModel, limit: Partial<Budget.Limit>) => Effect.provide(ask("?"), served(model, limit))

describe("a budget on a graph", () => {
  it.live("is reserved and settled around each call of a model", () =>
    Effect.gen(function*() {
      const { events, run: ended } = yield* run(new Limited(() => ({ texts: ["a ", "b"] })), {})
      assert.strictEqual(ended.state, "completed")
      // One token in and two out, as the model says.
      assert.deepInclude(ofType(events, "usage")[0]?.data, { inputTokens: 1, outputTokens: 2, costUsd: 0.000_021 })
    }))

  it.live("refuses a call before the model is called", () =>
    Effect.gen(function*() {
      const model = new Limited(() => ({ texts: ["never"] }))
      const { events, run: ended } = yield* run(model, { hard: 0.009 })
      assert.deepInclude(ended.error, { tag: "BudgetExceeded", status: 402 })
      assert.deepInclude(ofType(events, "budget")[0]?.data, { decision: "refuse", budget: "run" })
      assert.strictEqual(model.calls, 0)
    }))

  it.live("refuses a model whose answers may have any length", () =>
    Effect.gen(function*() {
      const model = new FakeModel(() => ({ texts: ["never"] }))
      assert.deepInclude((yield* run(model, {})).run.error, { tag: "OutputUnlimited", status: 500 })
      assert.strictEqual(model.calls, 0)
    }))

  it.live("pauses the run until somebody approves, and the graph starts again", () => {
    const model = new Limited(() => ({ texts: ["a ", "b"] }))
    return Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const runId = yield* start("?")
      assert.strictEqual((yield* runtime.await(caller, runId)).state, "suspended")
      assert.strictEqual(model.calls, 0)
      const [interrupt] = yield* runtime.interrupts(caller, runId)
      yield* runtime.answer(caller, runId, interrupt?.id ?? "", { decision: "approve" })
      const events = yield* journal(runId)
      assert.strictEqual(events.at(-1)?.type, "done")
      assert.strictEqual(model.calls, 1)
    }).pipe(Effect.provide(served(model, { hard: 0.009, atHard: "suspend" })))
  })
})
