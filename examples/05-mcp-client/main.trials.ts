import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { App, Audit, Auth, Budget, Caller, RateLimit, RunStore, Runtime } from "fastagentic"
import { ScriptedModel } from "fastagentic/effect-ai"
import { readFileSync } from "node:fs"
import app, { CourierLayer, Delivery, SupportDeskLayer } from "./app.ts"

const model = ScriptedModel.layer([
  ScriptedModel.call("desk_find_order", { orderId: 1042 }),
  ScriptedModel.text("It is on its way.")
])

const TestLayer = Runtime.layer(Delivery).pipe(
  Layer.provide(Layer.provide(CourierLayer, [model, SupportDeskLayer])),
  Layer.provide(Layer.mergeAll(
    RunStore.RunStore.layerMemory,
    Auth.layerNone,
    RateLimit.layerUnlimited,
    Budget.layerUnlimited,
    Audit.layerMemory
  ))
)

describe("an agent that uses an MCP server", () => {
  it("the file exports a runnable app", () => assert.isTrue(App.isRunnable(app)))

  it.live(
    "finds an order with a tool of the server, whose definition is pinned in the repository",
    () =>
      Effect.gen(function*() {
        const runtime = yield* Runtime.Runtime
        const caller = Caller.make("local")
        const { run } = yield* runtime.start(caller, {
          kind: "agent",
          identifier: "courier",
          payload: { question: "Where is order 1042?" }
        })
        const ended = yield* runtime.await(caller, run.runId)
        assert.strictEqual(ended.output, "It is on its way.")
        const events = yield* runtime.events(caller, run.runId, { after: 0, limit: 100 })
        const result = events.find(({ type }) => type === "tool_result")
        assert.include(JSON.stringify(result), "Luca Okafor")
        const pins = readFileSync(new URL("desk.mcp.json", import.meta.url), "utf8")
        assert.include(pins, "\"find_order\"")
      }).pipe(Effect.provide(TestLayer)),
    60_000
  )
})
