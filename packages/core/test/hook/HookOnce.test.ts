import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Hook, Run, RunStore, Runtime, ToolCall } from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { answer, layerRuntime, settle } from "../support.ts"

/** By night it allows no refund, and it notes the time of day in each payload. */
class Night extends Hook.make("night") {}

const Refund = Tool.make("refund", { parameters: Schema.Struct({ order: Schema.Int }), success: Schema.String })
const Tools = Toolkit.make(Refund)

class Desk extends Agent.make("desk", { description: "Refunds, then asks", payload: { note: Schema.String } }) {}
class Acme extends App.make("acme", { version: "1", agents: [Desk], tools: Tools }).hook(Night) {}

interface World {
  isNight: boolean
  readonly refunds: Array<number>
}

const handlersIn = (world: World) => {
  const ToolsLayer = Tools.toLayer({
    refund: ({ order }) => Effect.sync(() => (world.refunds.push(order), `refunded ${order}`))
  })
  const NightLayer = Night.toLayer({
    request: (call, next) => next({ ...call, payload: { note: world.isNight ? "by night" : "by day" } }),
    tool: (call, next) => world.isNight ? Hook.block(Night, "tool", "not by night") : next(call)
  })
  return Layer.mergeAll(
    ToolsLayer,
    NightLayer,
    Desk.toLayer(Effect.fn(function*({ note }) {
      const handlers = ToolCall.handlersOf(yield* Tools)
      const call = { toolCallId: "c", name: "refund", arguments: { order: 1 } }
      const { result } = yield* Effect.orDie(ToolCall.invoke(handlers, call))
      const told = yield* Effect.orDie(Run.interrupt("sure", { schema: Schema.String }))
      return `${note}: ${String(result)}, ${told}`
    })).pipe(Layer.provide(ToolsLayer))
  )
}

describe("A hook that would decide otherwise after a restart", () => {
  it.live("does not change what it allowed and changed for work that is done", () =>
    Effect.gen(function*() {
      const world: World = { isNight: false, refunds: [] }
      const built = yield* Layer.build(RunStore.RunStore.layerMemory)
      const process = <A, E>(effect: Effect.Effect<A, E, Runtime.Runtime>) =>
        Effect.scoped(Effect.flatMap(
          Layer.build(layerRuntime(Acme, handlersIn(world), Layer.succeedContext(built))),
          (context) => Effect.provideContext(effect, context)
        ))
      const { runId } = yield* process(settle("desk", { note: "none" }))
      world.isNight = true
      const run = yield* process(answer(runId, { decision: "approve", value: "yes" }))
      assert.deepInclude(run, { state: "completed", output: "by day: refunded 1, yes" })
      assert.deepStrictEqual(world.refunds, [1])
    }).pipe(Effect.scoped))
})
