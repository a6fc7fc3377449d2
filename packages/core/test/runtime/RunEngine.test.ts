import { RunEngine, RunStore } from "@fastagentic/core"
import { suite } from "@fastagentic/core/testing/contract/RunEngineContract"
import { Effect, Layer } from "effect"

const withEngine = (join: RunEngine.RunEngineShape["join"]) =>
  Layer.merge(RunStore.RunStore.layerMemory, Layer.succeed(RunEngine.RunEngine, { join }))

suite("a node that drives by itself", Layer.merge(RunStore.RunStore.layerMemory, RunEngine.layerLocal))

suite(
  "an engine that asks twice, late, and for turns that are over",
  withEngine((drive) =>
    Effect.map(Effect.scope, (scope) => (turn) => {
      const later = (millis: number) => Effect.forkIn(Effect.delay(drive(turn), millis), scope)
      const over = Effect.forkIn(drive({ ...turn, attempt: turn.attempt - 1 }), scope)
      return Effect.as(Effect.all([over, later(0), later(1), later(5), later(100), later(700)]), true)
    })
  )
)

suite(
  "an engine that loses everything, and says so when it is asked again",
  withEngine(() =>
    Effect.sync((): RunEngine.EngineSchedule => {
      const asked = new Set<string>()
      return ({ attempt, runId }) =>
        Effect.sync(() => {
          const again = asked.has(`${runId} ${attempt}`)
          asked.add(`${runId} ${attempt}`)
          return !again
        })
    })
  )
)
