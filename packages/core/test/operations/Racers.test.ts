import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Event, type Interrupt, Run, RunStore, Runtime } from "@fastagentic/core"
import { Context, Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { caller, isWhole, journal, layerRuntime, settle } from "../support.ts"

const Ask = Agent.make("ask", { description: "Asks", payload: {}, success: Schema.String })
const Acme = App.make("acme", { version: "1", agents: [Ask] })

let answers = 0
const Handlers = Ask.toLayer(Effect.fn(function*() {
  const value = yield* Effect.orDie(Run.interrupt("ask", { schema: Schema.String }))
  answers++
  return value
}))

/** Two nodes over one store, with a run that waits for a decision. */
const waiting = Effect.gen(function*() {
  const store = Context.get(yield* Layer.build(RunStore.RunStore.layerMemory), RunStore.RunStore)
  const node = Layer.fresh(layerRuntime(Acme, Handlers, Layer.succeed(RunStore.RunStore, store)))
  const [one, two] = [yield* Layer.build(node), yield* Layer.build(node)]
  const { runId } = yield* Effect.provideContext(settle("ask"), one)
  const nodes = [Context.get(one, Runtime.Runtime), Context.get(two, Runtime.Runtime)]
  const [asked] = yield* Context.get(one, Runtime.Runtime).interrupts(caller, runId)
  const race = <A, E>(act: (node: Runtime.Runtime["Service"], index: number) => Effect.Effect<A, E>) =>
    Effect.all(
      Array.from({ length: 100 }, (_, index) =>
        Effect.result(act(nodes[index % 2] ?? Context.get(one, Runtime.Runtime), index))),
      { concurrency: "unbounded" }
    )
  return { one, runId, id: asked?.id ?? "", race, store }
})

describe("Of a hundred who come at once on two nodes", () => {
  it.live("one answer wins, and the others get it", () =>
    Effect.gen(function*() {
      const { id, one, race, runId, store } = yield* waiting
      answers = 0
      const answer = (index: number): Interrupt.Answer => ({ decision: "approve", value: `answer ${index}` })
      const results = yield* race((node, index) => node.answer(caller, runId, id, answer(index)))
      const [won] = results.flatMap((result, index) => result._tag === "Success" ? [index] : [])
      assert.strictEqual(results.filter(({ _tag }) => _tag === "Success").length, 1)
      for (const result of results) {
        if (result._tag === "Success") continue
        const { reason } = result.failure
        assert.strictEqual(reason._tag, "InterruptResolved")
        if (reason._tag === "InterruptResolved") assert.strictEqual(reason.resolution.value, `answer ${won}`)
      }
      while ((yield* store.get(runId))?.state === "running") yield* Effect.sleep("5 millis")
      assert.deepInclude(yield* store.get(runId), { state: "completed", output: `answer ${won}`, attempt: 2 })
      assert.strictEqual(answers, 1)
      assert.isTrue(isWhole(yield* Effect.provideContext(journal(runId), one)))
    }))

  it.effect("one takes the run, and its own node does not take it again while it is slow to read", () =>
    Effect.gen(function*() {
      const store = Context.get(yield* Layer.build(RunStore.RunStore.layerMemory), RunStore.RunStore)
      const slow = { ...store, steps: (runId: string) => Effect.delay(store.steps(runId), "30 seconds") }
      const context = yield* Layer.build(layerRuntime(Acme, Handlers, Layer.succeed(RunStore.RunStore, slow)))
      const { answer, interrupts } = Context.get(context, Runtime.Runtime)
      const { runId } = yield* Effect.provideContext(settle("ask"), context)
      const [asked] = yield* interrupts(caller, runId)
      const racer = Effect.result(answer(caller, runId, asked?.id ?? "", { decision: "approve", value: "yes" }))
      yield* Effect.forkChild(Effect.all(Array.from({ length: 100 }, () => racer), { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* store.get(runId), { state: "completed", attempt: 2, crashes: 0 })
    }))

  it.live("one cancels, and all see it cancelled", () =>
    Effect.gen(function*() {
      const { race, runId, store } = yield* waiting
      const results = yield* race((node, index) => node.cancel(caller, runId, `reason ${index}`))
      assert.isTrue(results.every((result) => result._tag === "Success" && result.success.state === "cancelled"))
      const events = yield* store.events(runId, 0, 100)
      assert.strictEqual(events.filter(({ type }) => type === "run_cancelled").length, 1)
    }))

  it.live("one lets a run go on that was held back, and it goes on once", () =>
    Effect.gen(function*() {
      const { race, runId: waits, store } = yield* waiting
      const { wakeAt: _wakeAt, ...run } = (yield* store.get(waits)) ?? assert.fail("the run is not there")
      const runId = "0191b2f0-0000-7000-8000-000000000002"
      yield* store.write([{
        _tag: "Admit",
        run: { ...run, runId, waitsFor: "repair", attempt: 4, seq: 0 },
        events: [Event.make("run_suspended", { reason: "repair", interrupts: [] })]
      }])
      yield* race((node) => node.resume(caller, runId))
      while ((yield* store.get(runId))?.state === "running") yield* Effect.sleep("5 millis")
      assert.deepInclude(yield* store.get(runId), { state: "suspended", waitsFor: "interrupt", attempt: 5 })
      const events = yield* store.events(runId, 0, 100)
      assert.isTrue(isWhole(events))
      assert.strictEqual(events.filter(({ type }) => type === "run_started").length, 1)
    }))

  it.live("one decides or one cancels, never both", () =>
    Effect.gen(function*() {
      const { id, race, runId, store } = yield* waiting
      yield* race((node, index) =>
        index % 3 === 0
          ? Effect.asVoid(node.cancel(caller, runId))
          : Effect.asVoid(node.answer(caller, runId, id, { decision: "approve", value: "yes" }))
      )
      while ((yield* store.get(runId))?.state === "running") yield* Effect.sleep("5 millis")
      const events = yield* store.events(runId, 0, 100)
      assert.isTrue(isWhole(events))
      const ends = events.filter(({ type }) => type === "done" || type === "run_cancelled" || type === "error")
      assert.strictEqual(ends.length, 1)
      assert.strictEqual(events.at(-1)?.seq, ends[0]?.seq)
    }))
})
