import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Event, Hook, Run, RunStore, type Runtime } from "@fastagentic/core"
import { Clock, Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { answer, layerRuntime, settle } from "../support.ts"

class Timed extends Hook.make("timed") {}
class Talker extends Agent.make("talker", { description: "Talks", payload: {} }) {}
const Acme = App.make("acme", { version: "1", agents: [Talker] }).hook(Timed)

describe("the clock of an output guard", () => {
  it.effect("is the real one, also in a resumed run, whose handler has its recorded times", () =>
    Effect.gen(function*() {
      const guarded: Array<number> = []
      const handled: Array<number> = []
      const handlers = Layer.merge(
        Timed.toLayer({
          output: {
            text: (text) =>
              Effect.map(Clock.currentTimeMillis, (now) => {
                guarded.push(now)
                return { out: text, held: "" }
              })
          }
        }),
        Talker.toLayer(Effect.fn(function*() {
          handled.push(yield* Clock.currentTimeMillis)
          yield* Run.emit(Event.token("hello"))
          yield* Effect.orDie(Run.interrupt("ok", { schema: Schema.Boolean }))
          return "done"
        }))
      )
      const store = Effect.provideContext(RunStore.RunStore, yield* Layer.build(RunStore.RunStore.layerMemory))
      const kept = yield* store
      const during = <A, E>(act: Effect.Effect<A, E, Runtime.Runtime>) =>
        Effect.scoped(Effect.flatMap(
          Layer.build(layerRuntime(Acme, handlers, Layer.succeed(RunStore.RunStore, kept))),
          (context) => Effect.provideContext(act, context)
        ))
      const { runId } = yield* during(settle("talker"))
      yield* TestClock.adjust("1 hour")
      yield* during(answer(runId, { decision: "approve", value: true }))
      assert.strictEqual(handled.length, 2)
      assert.strictEqual(handled[1], handled[0])
      assert.isAtLeast(Number(guarded.at(-1)) - Number(guarded[0]), 3_600_000)
    }))
})
