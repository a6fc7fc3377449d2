import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { AppTest } from "fastagentic/testing"
import app from "../src/app.ts"

it.effect("a tool answers a direct call, and fails with the error that it declares", () =>
  Effect.gen(function*() {
    const client = yield* AppTest.client(app)
    assert.deepStrictEqual(yield* client.tools.find_order({ orderId: 1042 }), { id: 1042, state: "shipped" })
    assert.strictEqual((yield* Effect.flip(client.tools.find_order({ orderId: 1 })))._tag, "OrderNotFound")
  }))

it.effect("an order is cancelled once someone approves it", () =>
  Effect.gen(function*() {
    const client = yield* AppTest.client(app)
    const paused = yield* Effect.flip(client.tools.cancel_order({ orderId: 1043 }))
    if (paused._tag !== "RunSuspended") return assert.fail(paused._tag)
    assert.strictEqual((yield* client.tools.find_order({ orderId: 1043 })).state, "packed")
    yield* client.runs.answer(paused.run.runId, paused.interrupts[0]?.id ?? "", { decision: "approve" })
    yield* Effect.repeat(client.runs.get(paused.run.runId), { until: ({ state }) => state === "completed" })
    assert.strictEqual((yield* client.tools.find_order({ orderId: 1043 })).state, "cancelled")
  }))

it.effect("the agent answers with the tools, and the resource is read", () =>
  Effect.gen(function*() {
    const client = yield* AppTest.client(app)
    assert.include(yield* client.agents.desk({ question: "Find order 1042" }), "shipped")
    assert.include(yield* client.resources.guide({ topic: "returns" }), "30 days")
  }))
