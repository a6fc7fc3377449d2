import { assert, describe, it } from "@effect/vitest"
import { Agent, App } from "@fastagentic/core"
import { Clock, Effect, Schema } from "effect"
import { journal, layerRuntime, settle } from "../support.ts"

class Says extends Agent.make("says", { description: "Says or fails", payload: { fails: Schema.Boolean } }) {}
class Said extends App.make("said", { version: "1.0.0", agents: [Says] }) {}

describe("The time of the end of a run", () => {
  it.live("is that of its last event, also when the clock moves between two reads", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.clockWith(Effect.succeed)
      let reads = 0
      const hasty: Clock.Clock = {
        ...clock,
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + reads++,
        currentTimeMillis: Effect.sync(() => clock.currentTimeMillisUnsafe() + reads++)
      }
      const layer = layerRuntime(Said, Says.toLayer(({ fails }) => fails ? Effect.die("no") : Effect.succeed("yes")))
      yield* Effect.gen(function*() {
        for (const fails of [false, true]) {
          const run = yield* settle("says", { fails })
          const last = (yield* journal(run.runId)).at(-1)
          assert.deepStrictEqual([run.finishedAt, last?.type], [last?.ts, fails ? "error" : "done"])
        }
      }).pipe(Effect.provide(layer), Effect.provideService(Clock.Clock, hasty))
    }))
})
