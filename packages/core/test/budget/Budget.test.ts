import { assert, describe, it } from "@effect/vitest"
import { Budget, BudgetStore, type Event, Prices, RunError } from "@fastagentic/core"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Context, Duration, Effect, Layer } from "effect"
import * as TestClock from "effect/testing/TestClock"

const run = makeRun({ tenant: "acme", owner: "ann" })

const spender: Budget.RunContext = {
  record: run,
  tell: () => Effect.void,
  interrupt: () => Effect.never,
  earlier: () => []
}

/** An answer of 1,000 tokens costs a cent. */
const call: Budget.ModelRequest = {
  callId: "c",
  model: "m",
  inputTokens: 0,
  maxOutputTokens: 1_000,
  clamps: false,
  changesTo: () => false
}

const cent = 10_000

/** A process with a budget of so many dollars, on a store that others share. */
const start = Effect.fnUntraced(function*(
  hard: number,
  store: BudgetStore.BudgetStore["Service"],
  options: Budget.Options = {}
) {
  const context = yield* Layer.build(Layer.fresh(
    Budget.layer.pipe(Layer.provide([
      Layer.succeed(BudgetStore.BudgetStore, store),
      Prices.layer({ m: { input: 1, output: 10 } }),
      Budget.limits([{ name: "run", per: "run", period: "total", hard }], { lease: "30 seconds", ...options })
    ]))
  ))
  return Context.get(context, Budget.Budget)
})

const memory = Effect.map(
  Layer.build(Layer.fresh(BudgetStore.BudgetStore.layerMemory)),
  (context) => Context.get(context, BudgetStore.BudgetStore)
)

const key = JSON.stringify(["run", "", "run", [run.runId]])

const standing = (store: BudgetStore.BudgetStore["Service"]) =>
  Effect.map(store.counters([key]), ([one]) => one === undefined ? [0, 0] : [one.settled, one.reserved])

describe("a reservation", () => {
  it.effect("lives as long as its call, in a process that lives", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const budget = yield* start(0.01, store)
      const grant = yield* budget.spend(spender, call)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* standing(store), [0, cent])
      const refused = yield* Effect.flip(budget.spend(spender, call))
      assert.deepInclude(refused, { _tag: "BudgetExceeded", budget: "run" })
      yield* grant.settle({ inputTokens: 0, outputTokens: 500 })
      yield* grant.settle({ inputTokens: 0, outputTokens: 500 })
      yield* grant.cancelReservation
      assert.deepStrictEqual(yield* standing(store), [cent / 2, 0])
    }).pipe(Effect.scoped))

  it.effect("of a process that is gone is free for the next call once its lease is over", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const bounds = [{ key, hard: cent }]
      yield* store.reserve({ id: "dead", bounds, least: cent, most: cent, lease: Duration.seconds(30) })
      const deaf = { ...store, expire: Effect.succeed(0) }
      const budget = yield* start(0.01, deaf)
      yield* TestClock.adjust("31 seconds")
      assert.strictEqual((yield* Effect.flip(budget.spend(spender, call)))._tag, "BudgetExceeded")
      const grant = yield* (yield* start(0.01, store)).spend(spender, call)
      assert.strictEqual(grant.maxOutputTokens, 1_000)
    }).pipe(Effect.scoped))

  it.effect("is released when its run ends without a word about the call", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const budget = yield* start(1, store)
      yield* budget.spend(spender, call)
      yield* budget.releaseAll(makeRun(), undefined)
      assert.deepStrictEqual(yield* standing(store), [0, cent])
      yield* budget.releaseAll(run, undefined)
      assert.deepStrictEqual(yield* standing(store), [0, 0])
    }).pipe(Effect.scoped))

  it.effect("costs all of it when the provider tells nothing", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const grant = yield* (yield* start(1, store)).spend(spender, call)
      assert.strictEqual((yield* grant.settle(undefined))?.costUsd, 0.01)
      assert.deepStrictEqual(yield* standing(store), [cent, 0])
    }).pipe(Effect.scoped))
})

describe("the numbers of a provider", () => {
  const impossible: Readonly<Record<string, Event.Usage>> = {
    "negative output": { inputTokens: 10, outputTokens: -1_000_000 },
    "negative input": { inputTokens: -10, outputTokens: 10 },
    "a number no counter can hold": { inputTokens: 1e30, outputTokens: 10 },
    "not a number": { inputTokens: Number.NaN, outputTokens: 10 },
    "infinity": { inputTokens: 10, outputTokens: Number.POSITIVE_INFINITY }
  }

  for (const [name, usage] of Object.entries(impossible)) {
    it.effect(`are billed as reserved when they are impossible: ${name}`, () =>
      Effect.gen(function*() {
        const store = yield* memory
        const grant = yield* (yield* start(1, store)).spend(spender, call)
        assert.strictEqual((yield* grant.settle(usage))?.costUsd, 0.01)
        assert.deepStrictEqual(yield* standing(store), [cent, 0])
      }).pipe(Effect.scoped))
  }

  const settled = Effect.fnUntraced(function*(usage: Event.Usage, options?: Budget.Options) {
    const store = yield* memory
    const grant = yield* (yield* start(1, store, options)).spend(spender, call)
    const { costUsd } = (yield* grant.settle(usage)) ?? {}
    return costUsd
  }, Effect.scoped)

  it.effect("round fractions of tokens up", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* settled({ inputTokens: 0, outputTokens: 99.5 }), 0.001)
    }))

  it.effect("are priced by the table when a gateway says that a call cost nothing", () =>
    Effect.gen(function*() {
      const usage = { inputTokens: 0, outputTokens: 500, costUsd: 0 }
      assert.strictEqual(yield* settled(usage), 0.005)
      assert.strictEqual(yield* settled(usage, { trustZeroCost: true }), 0)
    }))

  it.effect("are priced by the table when the claimed cost is impossible", () =>
    Effect.gen(function*() {
      for (const costUsd of [-1, 1e30, Number.NaN]) {
        assert.strictEqual(yield* settled({ inputTokens: 0, outputTokens: 500, costUsd }), 0.005)
      }
    }))
})

describe("a store that is away", () => {
  const away = Effect.fail(new RunError.StoreUnavailable({ operation: "test" }))

  it.effect("lets no call through", () =>
    Effect.gen(function*() {
      const budget = yield* start(1, { ...(yield* memory), reserve: () => away })
      assert.strictEqual((yield* Effect.flip(budget.spend(spender, call)))._tag, "StoreUnavailable")
    }).pipe(Effect.scoped))

  it.effect("is told what a call has cost once it is back, and counts it once", () =>
    Effect.gen(function*() {
      const store = yield* memory
      let calls = 0
      // The first word is lost on its way back: it was heard. The second never arrives.
      const settle: typeof store.settle = (settlement) =>
        Effect.suspend(() => {
          calls++
          return calls === 1
            ? Effect.andThen(store.settle(settlement), away)
            : calls === 2
            ? away
            : store.settle(settlement)
        })
      const budget = yield* start(1, { ...store, settle })
      const usage = { inputTokens: 0, outputTokens: 100 }
      const first = yield* budget.spend(spender, call)
      const second = yield* budget.spend(spender, call)
      yield* first.settle(usage)
      yield* second.settle(usage)
      // The end of the run gives nothing back that is owed.
      yield* budget.releaseAll(run, undefined)
      assert.deepStrictEqual(yield* standing(store), [cent / 10, cent])
      yield* TestClock.adjust("11 seconds")
      assert.deepStrictEqual(yield* standing(store), [cent / 5, 0])
    }).pipe(Effect.scoped))
})

describe("limits", () => {
  const limit = { name: "daily", per: "user", period: "day", hard: 1 } as const
  const wrong = [
    ["two limits have this name", [limit, { ...limit, per: "tenant" }]],
    ["is more than hard", [{ ...limit, soft: 2 }]],
    ["from 0 on", [{ ...limit, hard: Number.NaN }]],
    ["from 0 on", [{ ...limit, soft: -1 }]],
    ["is per something", [{ ...limit, per: [] }]],
    ["has a name", [{ ...limit, name: "" }]]
  ] as const

  it.effect.each(wrong)("that are wrong are not started with: %s", ([problem, limits]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Layer.build(Budget.limits(limits)))
      assert.strictEqual(error._tag, "FusionError")
      assert.include(error.problem, problem)
    }).pipe(Effect.scoped))

  it.effect("may have a soft end that is the hard one", () =>
    Effect.scoped(Layer.build(Budget.limits([{ ...limit, soft: 1 }, { ...limit, name: "other" }]))))
})
