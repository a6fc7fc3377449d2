import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Event, Hook, Redaction, Run, RunStore, type Runtime, ToolCall } from "@fastagentic/core"
import { Deferred, Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { answer, isWhole, journal, layerRuntime, settle, start, summaryOf } from "../support.ts"

class Careful extends Hook.make("careful", { suspends: true }) {}

const Pay = Hook.on(
  Tool.make("pay", { parameters: Schema.Struct({ amount: Schema.Int }), success: Schema.String }),
  Careful
)
const Tools = Toolkit.make(Pay)

class Payer extends Agent.make("payer", { description: "Pays", payload: { amount: Schema.Int } }) {}
class Talker extends Agent.make("talker", { description: "Talks", payload: {} }) {}

const Acme = App.make("acme", { version: "1", agents: [Payer, Talker], tools: Tools }).hook(Redaction.Redaction)

const key = `sk-proj-${"aB3".repeat(12)}`

interface World {
  readonly paid: Array<number>
  /** How many pieces are said before the process ends; all when it does not. */
  readonly until: number
  readonly stopped: Deferred.Deferred<void>
}

const pieces = ["one ", "tw", "o ", `${key.slice(0, 6)}`, `${key.slice(6, 20)}`, `${key.slice(20)} `, "three ", "end"]

const handlersIn = ({ paid, stopped, until }: World) => {
  const ToolsLayer = Tools.toLayer({
    pay: ({ amount }) =>
      Effect.sync(() => {
        paid.push(amount)
        return `paid ${amount}`
      })
  })
  const CarefulLayer = Careful.toLayer({
    tool: (call, next) => Effect.flatMap(Hook.suspend(Careful, call), next)
  })
  return Layer.mergeAll(
    Redaction.layer(),
    ToolsLayer,
    CarefulLayer,
    Payer.toLayer(Effect.fn(function*(params) {
      const handlers = ToolCall.handlersOf(yield* Tools)
      const outcome = yield* Effect.orDie(
        ToolCall.invoke(handlers, { toolCallId: "c", name: "pay", arguments: params })
      )
      return String(outcome.result)
    })).pipe(Layer.provide([ToolsLayer, CarefulLayer])),
    Talker.toLayer(Effect.fn(function*() {
      for (const [index, piece] of pieces.entries()) {
        if (index === until) {
          yield* Deferred.succeed(stopped, undefined)
          return yield* Effect.never
        }
        yield* Run.emit(Event.token(piece))
        // Lets the journal write, so that every place in the text is one to stop at.
        yield* Effect.yieldNow
      }
      return pieces.join("")
    }))
  )
}

/** A process: from the start of a runtime over a store to its end. */
const during = <A, E>(
  store: RunStore.RunStore["Service"],
  world: World,
  act: Effect.Effect<A, E, Runtime.Runtime>
) =>
  Effect.scoped(Effect.flatMap(
    Layer.build(layerRuntime(Acme, handlersIn(world), Layer.succeed(RunStore.RunStore, store))),
    (context) => Effect.provideContext(act, context)
  ))

const world = (until = Number.POSITIVE_INFINITY): Effect.Effect<World> =>
  Effect.map(Deferred.make<void>(), (stopped) => ({ paid: [], until, stopped }))

const storeInMemory = Effect.flatMap(
  Layer.build(RunStore.RunStore.layerMemory),
  (context) => Effect.provideContext(RunStore.RunStore, context)
)

describe("Hooks over a restart", () => {
  for (const [kind, identifier] of [["agent", "payer"], ["tool", "pay"]] as const) {
    it.effect(`wait for a human: ${kind}`, () =>
      Effect.gen(function*() {
        const store = yield* storeInMemory
        const before = yield* world()
        const run = yield* during(store, before, settle(identifier, { amount: 5 }, kind))
        assert.strictEqual(run.state, "suspended")
        const after = yield* world()
        const { ended, events } = yield* during(
          store,
          after,
          Effect.gen(function*() {
            const ended = yield* answer(run.runId, { decision: "approve" })
            return { ended, events: yield* journal(run.runId) }
          })
        )
        assert.deepInclude(ended, { state: "completed", output: "paid 5" })
        assert.deepStrictEqual([before.paid, after.paid], [[], [5]])
        assert.isTrue(isWhole(events))
        assert.strictEqual(summaryOf(events).filter((line) => line.startsWith("hook_decision")).length, 1)
        assert.deepStrictEqual(events.filter(({ type }) => type === "tool_result").length, 1)
      }))
  }

  it.effect("say everything once, wherever the process ends in the middle of what is held back", () =>
    Effect.gen(function*() {
      for (const until of pieces.keys()) {
        const store = yield* storeInMemory
        const first = yield* world(until)
        const run = yield* during(
          store,
          first,
          Effect.tap(start("talker"), () => Deferred.await(first.stopped))
        )
        const again = yield* world()
        const events = yield* during(store, again, journal(run.runId))
        assert.isTrue(isWhole(events))
        assert.deepStrictEqual(summaryOf(events).filter((line) => line.startsWith("token")), [
          "token one ",
          "token two ",
          "token [redacted: api-key] ",
          "token three ",
          "token end"
        ], `stopped after ${until}`)
        assert.notInclude(JSON.stringify(events), "aB3aB3")
      }
    }))
})
