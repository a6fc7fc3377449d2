import { assert, describe, it } from "@effect/vitest"
import {
  Agent,
  App,
  Audit,
  Auth,
  Budget,
  BudgetStore,
  Hook,
  Prices,
  RateLimit,
  RunStore,
  Runtime
} from "@fastagentic/core"
import type { AdapterCapabilities } from "@fastagentic/core/app/AdapterCapabilities"
import { Effect, Layer, Schema } from "effect"

const able: AdapterCapabilities = {
  tokens: true,
  boundary: "step",
  commit: "barrier",
  interrupts: true,
  cancel: "abort",
  hooks: { llm: "modify", tool: "modify", node: "modify" },
  toolInjection: "factory",
  usage: true,
  budget: true,
  backpressure: "waits"
}

class Quick extends Agent.make("quick", { description: "Answers", payload: {}, durable: false }) {}
class Lasting extends Agent.make("lasting", { description: "Answers", payload: { n: Schema.Int } }) {}
class Watched extends Hook.make("watched") {}
class Asking extends Hook.make("asking", { suspends: true }) {}

const limited = Budget.layer.pipe(Layer.provide([
  BudgetStore.BudgetStore.layerMemory,
  Prices.layer({}),
  Layer.orDie(Budget.limits([{ name: "daily", per: "tenant", period: "day", hard: 1 }]))
]))

interface Setup {
  readonly capabilities?: Partial<AdapterCapabilities>
  readonly remedy?: string
  readonly points?: Hook.Points
  readonly budget?: Layer.Layer<Budget.Budget>
}

const services = (budget: Layer.Layer<Budget.Budget> = Budget.layerUnlimited) =>
  Layer.mergeAll(RunStore.RunStore.layerMemory, Auth.layerNone, RateLimit.layerUnlimited, Audit.layerMemory, budget)

const adapterOf = ({ capabilities, remedy }: Setup) => ({
  name: "fake",
  capabilities: { ...able, ...capabilities },
  ...(remedy === undefined ? {} : { remedy })
})

/** The words of the refusal; nothing when the app starts. */
const wordsOf = <E extends { readonly message: string }>(started: Layer.Layer<Runtime.Runtime, E>) =>
  Effect.match(Effect.scoped(Layer.build(started)), { onSuccess: () => "", onFailure: ({ message }) => message })

const quick = (setup: Setup) => {
  const app = App.make("test", { version: "1", agents: [Quick.hook(Watched)] })
  const handlers = Layer.mergeAll(
    Quick.toLayer(() => Effect.succeed("hi"), adapterOf(setup)),
    Watched.toLayer(setup.points ?? {})
  )
  return wordsOf(Runtime.layer(app).pipe(Layer.provide(handlers), Layer.provide(services(setup.budget))))
}

const lasting = (setup: Setup) => {
  const app = App.make("test", { version: "1", agents: [Lasting] })
  const handler = Lasting.toLayer(() => Effect.succeed("hi"), adapterOf(setup))
  return wordsOf(Runtime.layer(app).pipe(Layer.provide(handler), Layer.provide(services())))
}

describe("requirements that an adapter cannot hold", () => {
  it.effect("an app starts when its adapter can do all that is asked", () =>
    Effect.gen(function*() {
      const points: Hook.Points = { llm: (call, next) => next(call), node: (call, next) => next(call) }
      assert.strictEqual(yield* quick({ points, budget: limited }), "")
      assert.strictEqual(yield* lasting({}), "")
    }))

  it.effect("a durable agent without a commit barrier stops the start, with its name and the remedy", () =>
    Effect.gen(function*() {
      for (const commit of ["none", "best-effort"] as const) {
        const words = yield* lasting({ capabilities: { commit }, remedy: "give it a checkpointer" })
        assert.match(words, /^agent "lasting": it is durable, and its adapter "fake" does not wait for commits/u)
        assert.match(words, /give it a checkpointer, or declare it with durable: false$/u)
      }
      assert.strictEqual(yield* quick({ capabilities: { commit: "none" } }), "")
    }))

  it.effect("a limit of the budget stops the start when the adapter cannot stop a call of a model", () =>
    Effect.gen(function*() {
      const words = yield* quick({ capabilities: { budget: false }, budget: limited })
      assert.match(words, /^agent "quick": the budget has the limit "daily", and its adapter "fake" cannot stop/u)
      assert.strictEqual(yield* quick({ capabilities: { budget: false } }), "")
    }))

  it.effect("a hook at a point that the adapter does not reach stops the start", () =>
    Effect.gen(function*() {
      const points: Hook.Points = { tool: (call, next) => next(call) }
      const hooks = { ...able.hooks, tool: "none" } as const
      const words = yield* quick({ capabilities: { hooks }, points })
      assert.match(words, /^agent "quick": the hook "watched" has the point "tool", which its adapter "fake" does not/u)
      assert.strictEqual(yield* quick({ capabilities: { hooks: { ...hooks, tool: "observe" } }, points }), "")
      const checkpoint: Hook.Points = { checkpoint: (call, next) => next(call) }
      assert.match(yield* quick({ capabilities: { commit: "none" }, points: checkpoint }), /commits nothing/u)
    }))

  it.effect("a hook of the app that may ask a human stops the start when the adapter cannot pause", () =>
    Effect.gen(function*() {
      const app = App.make("test", { version: "1", agents: [Quick] }).hook(Asking)
      const start = (interrupts: boolean) =>
        wordsOf(
          Runtime.layer(app).pipe(
            Layer.provide([
              Quick.toLayer(() => Effect.succeed("hi"), adapterOf({ capabilities: { interrupts } })),
              Asking.toLayer({})
            ]),
            Layer.provide(services())
          )
        )
      assert.match(yield* start(false), /^agent "quick": the hook "asking" may ask a human/u)
      assert.strictEqual(yield* start(true), "")
    }))
})
