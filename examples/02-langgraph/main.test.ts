import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { Audit, Auth, Budget, Caller, RateLimit, RunStore, Runtime } from "fastagentic"
import research from "./app.ts"

const TestLayer = Runtime.layer(research.app).pipe(
  Layer.provide(research.handlers),
  Layer.provideMerge(Layer.mergeAll(
    RunStore.RunStore.layerMemory,
    Auth.layerNone,
    RateLimit.layerUnlimited,
    Budget.layerUnlimited,
    Audit.layerMemory
  ))
)

const caller = Caller.make("local")

const ask = Effect.fnUntraced(function*(topic: string) {
  const runtime = yield* Runtime.Runtime
  const { run } = yield* runtime.start(caller, { kind: "agent", identifier: "researcher", payload: { topic } })
  const pages = yield* runtime.follow(caller, run.runId, { after: 0, until: "final" })
  const events = (yield* Stream.runCollect(pages)).flatMap((page) => page.events)
  return { events, run: yield* runtime.await(caller, run.runId) }
})

describe("research", () => {
  it.live("the graph searches, then answers with the result", () =>
    Effect.gen(function*() {
      const { events, run } = yield* ask("tides")
      assert.strictEqual(run.output, "I found this: Tides follow the moon, twice a day.")
      assert.deepStrictEqual(
        events.flatMap((event) => event.type === "node_enter" ? [event.data.name] : []),
        ["research", "tools", "research"]
      )
      assert.deepStrictEqual(
        events.flatMap((event) => event.type === "tool_result" ? [event.data.result] : []),
        ["Tides follow the moon, twice a day."]
      )
      assert.isAbove(run.usage?.outputTokens ?? 0, 0)
    }).pipe(Effect.provide(TestLayer)))

  it.live("a search without results fails with NothingFound", () =>
    Effect.gen(function*() {
      const { run } = yield* ask("dragons")
      assert.deepInclude(run.error, { status: 404, declared: true, value: { _tag: "NothingFound", topic: "dragons" } })
    }).pipe(Effect.provide(TestLayer)))
})
