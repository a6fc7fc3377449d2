import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Event, Run, RunStore } from "@fastagentic/core"
import { Context, Effect, Fiber, Layer, Scheduler, Schema } from "effect"
import { isWhole, journal, layerRuntime, settle } from "../support.ts"

const GivesUp = Agent.make("gives-up", { description: "Gives a branch up", payload: { after: Schema.Int } })
const Acme = App.make("acme", { version: "1", agents: [GivesUp] })

/** A store that takes its time, so that writes wait in line. */
const layerSlow = Layer.effect(
  RunStore.RunStore,
  Effect.map(Layer.build(RunStore.RunStore.layerMemory), (context) => {
    const { writeNow: _writeNow, ...store } = { writeNow: undefined, ...Context.get(context, RunStore.RunStore) }
    return { ...store, write: (writes: ReadonlyArray<RunStore.Write>) => Effect.delay(store.write(writes), 5) }
  })
)

describe("A branch that is given up", () => {
  it.live("while it commits a step has said what it has said, at whatever moment that is", () => {
    const said = new Set<number>()
    const handlers = GivesUp.toLayer(Effect.fn(function*({ after }) {
      yield* Run.emit(Event.token("first"))
      yield* Effect.sleep(1)
      const branch = yield* Effect.forkChild(
        Effect.andThen(
          Effect.tap(Run.emit(Event.token("said")), () => Effect.sync(() => said.add(after))),
          Run.step("work", Effect.succeed(1))
        ).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, 5))
      )
      for (let at = 0; at < after; at++) yield* Effect.yieldNow
      yield* Fiber.interrupt(branch)
      return "done"
    }))
    return Effect.gen(function*() {
      const lost: Array<number> = []
      for (let after = 0; after < 100; after++) {
        const run = yield* settle("gives-up", { after })
        assert.strictEqual(run.state, "completed")
        const events = yield* journal(run.runId)
        assert.isTrue(isWhole(events))
        const has = events.some(({ data, type }) => type === "token" && data.delta === "said")
        if (said.has(after) && !has) lost.push(after)
      }
      assert.isAbove(said.size, 50)
      assert.deepStrictEqual(lost, [])
    }).pipe(Effect.provide(layerRuntime(Acme, handlers, layerSlow)))
  }, 20_000)
})
