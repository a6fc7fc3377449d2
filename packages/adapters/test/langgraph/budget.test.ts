import { assert, describe, it } from "@effect/vitest"
import { LangGraph } from "@fastagentic/adapters/langgraph"
import { Budget, BudgetStore, Prices, Runtime } from "@fastagentic/core"
import { Effect, Layer, Stream } from "effect"
import { FakeModel } from "./fakeModel.ts"
import { Ask, ask, caller, input, journal, ofType, row, serve, start } from "./support.ts"

class Limited extends FakeModel {
  override getLsParams() {
    return { ...super.getLsParams(), ls_max_tokens: 1_000 }
  }
}

/** Emits one token and never ends. */
class Endless extends Limited {
  override async *_streamResponseChunks(...args: Parameters<FakeModel["_streamResponseChunks"]>) {
    for await (const chunk of super._streamResponseChunks(...args)) {
      yield chunk
      await new Promise(() => {})
    }
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
  it.live("each model call is reserved and settled", () =>
    Effect.gen(function*() {
      const { events, run: ended } = yield* run(new Limited(() => ({ texts: ["a ", "b"] })), {})
      assert.strictEqual(ended.state, "completed")
      // One token in and two out, as the model reports.
      assert.deepInclude(ofType(events, "usage")[0]?.data, { inputTokens: 1, outputTokens: 2, costUsd: 0.000_021 })
    }))

  it.live("a refusal comes before the model is called", () =>
    Effect.gen(function*() {
      const model = new Limited(() => ({ texts: ["never"] }))
      const { events, run: ended } = yield* run(model, { hard: 0.009 })
      assert.deepInclude(ended.error, { tag: "BudgetExceeded", status: 402 })
      assert.deepInclude(ofType(events, "budget")[0]?.data, { decision: "refuse", budget: "run" })
      assert.strictEqual(model.calls, 0)
    }))

  it.live("a model without an output limit is refused", () =>
    Effect.gen(function*() {
      const model = new FakeModel(() => ({ texts: ["never"] }))
      assert.deepInclude((yield* run(model, {})).run.error, { tag: "OutputUnlimited", status: 500 })
      assert.strictEqual(model.calls, 0)
    }))

  it.live("a cancelled run is charged the output received so far", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const runId = yield* start("?")
      const pages = yield* runtime.follow(caller, runId, { after: 0, until: "final" })
      yield* Stream.runHead(Stream.filter(pages, ({ events }) => events.some(({ type }) => type === "token")))
      yield* runtime.cancel(caller, runId)
      const { tenant } = yield* runtime.await(caller, runId)
      const budget = yield* Budget.Budget
      const [usage] = yield* Effect.repeat(
        budget.usage({ tenant, from: "2000-01-01", to: "2999-12-31", by: [] }),
        { until: (rows) => rows.length > 0 }
      )
      assert.deepInclude(usage, { calls: 1, outputTokens: 3 })
      assert.isAbove(usage?.cost ?? 0, 0)
    }).pipe(Effect.provide(served(new Endless(() => ({ texts: ["abc", "never"] })), {}))))

  it.live("the run pauses until an approval, and the graph starts again", () => {
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
    }).pipe(Effect.provide(served(model, { hard: 0.009, atHard: "suspend", raise: { requester: true } })))
  })
})
