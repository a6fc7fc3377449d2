// Contract of `RateCounters`. A test file of the implementation calls `suite` once.
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import { type Counter, RateCounters, type Taken } from "../../door/RateCounters.ts"

type Counters = RateCounters["Service"]

const hour = 3_600_000

const fixed = (key: string, limit: number, windowMillis = hour): Counter => ({
  key,
  limit,
  windowMillis,
  algorithm: "fixed-window"
})

const bucket = (key: string, limit: number, windowMillis: number): Counter => ({
  key,
  limit,
  windowMillis,
  algorithm: "token-bucket"
})

const isAllowed = (taken: ReadonlyArray<Taken>) => taken.every((one) => one.allowed)

/**
 * Declares the tests that every store of rate counters passes; `makeLayer` gives a new store, whose layer is built once for each node.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = <E>(
  name: string,
  makeLayer: Effect.Effect<Layer.Layer<RateCounters, E>, never, Scope.Scope>,
  options: { readonly nodes: number }
) =>
  describe(name, () => {
    const connect = Effect.flatMap(makeLayer, (layer) =>
      Effect.all(Array.from(
        { length: options.nodes },
        () => Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, RateCounters))
      )))

    const open = Effect.map(connect, ([first]) => first ?? assert.fail("no node"))

    /** So many calls at once, spread over all nodes. */
    const race = (nodes: ReadonlyArray<Counters>, calls: ReadonlyArray<ReadonlyArray<Counter>>) =>
      Effect.all(calls.map((call, index) => nodes[index % nodes.length]?.take(call) ?? Effect.succeed([])), {
        concurrency: "unbounded"
      })

    /** Calls whenever there may be room, until `enough` were allowed: between which moments each of these was. */
    const insist = Effect.fnUntraced(function*(nodes: ReadonlyArray<Counters>, counter: Counter, enough: number) {
      const allowed: Array<{ readonly from: number; readonly to: number }> = []
      for (let turn = 0; allowed.length < enough; turn++) {
        const from = performance.now()
        const taken = yield* nodes[turn % nodes.length]?.take([counter]) ?? Effect.succeed([])
        if (isAllowed(taken)) allowed.push({ from, to: performance.now() })
        yield* Effect.sleep("7 millis")
      }
      return allowed
    })

    it.live("lets no more than the limit pass, however many come at once", () =>
      Effect.gen(function*() {
        const nodes = yield* connect
        for (const counter of [fixed("fixed", 25), bucket("bucket", 25, 25 * hour)]) {
          const answers = yield* race(nodes, Array.from({ length: 200 }, () => [counter]))
          assert.strictEqual(answers.filter(isAllowed).length, 25)
          const used = answers.filter(isAllowed).map(([taken]) => Math.round(taken?.used ?? 0))
          assert.deepStrictEqual(used.sort((a, b) => a - b), Array.from({ length: 25 }, (_, index) => index + 1))
        }
      }), 30_000)

    it.live("takes from all counters of a call or from none", () =>
      Effect.gen(function*() {
        const nodes = yield* connect
        const [wide, narrow, idle] = [fixed("wide", 10), fixed("narrow", 3), bucket("idle", 50, 50 * hour)]
        const answers = yield* race(nodes, Array.from({ length: 60 }, () => [wide, narrow, idle]))
        assert.strictEqual(answers.filter(isAllowed).length, 3)
        const refused = answers.find((answer) => !isAllowed(answer)) ?? []
        assert.deepStrictEqual(refused.map((taken) => taken.allowed), [true, false, true])
        assert.deepStrictEqual(refused.map((taken) => Math.round(taken.used)), [3, 3, 3])
        const rest = yield* race(nodes, Array.from({ length: 20 }, () => [wide]))
        assert.strictEqual(rest.filter(isAllowed).length, 7)
      }), 30_000)

    it.live("does not stand still when calls name the same counters in another order", () =>
      Effect.gen(function*() {
        const nodes = yield* connect
        const counters = Array.from({ length: 6 }, (_, index) => fixed(`order ${index}`, 40))
        const calls = Array.from(
          { length: 120 },
          (_, index) =>
            index % 2 === 0 ? counters : [...counters.slice(index % 6), ...counters.slice(0, index % 6)].reverse()
        )
        const answers = yield* race(nodes, calls)
        assert.strictEqual(answers.filter(isAllowed).length, 40)
      }), 30_000)

    it.live("a counter that refuses without having been used stays unused", () =>
      Effect.gen(function*() {
        const store = yield* open
        yield* store.take([fixed("full", 1)])
        const [full, fresh] = yield* store.take([fixed("full", 1), fixed("fresh", 1)])
        assert.deepInclude(full, { allowed: false, used: 1 })
        assert.isAbove(full?.resetMillis ?? 0, hour - 600_000)
        assert.isAtMost(full?.resetMillis ?? 0, hour)
        assert.deepStrictEqual(fresh, { allowed: true, used: 0, resetMillis: 0 })
        assert.isTrue(isAllowed(yield* store.take([fixed("fresh", 1)])))
      }))

    it.live("a window begins with its first call and lasts for all of its length", () =>
      Effect.gen(function*() {
        const counter = fixed("window", 3, 400)
        const allowed = yield* insist(yield* connect, counter, 10)
        for (const first of [0, 3, 6]) {
          const window = allowed.slice(first, first + 4)
          // A millisecond for clocks that are not the same.
          assert.isAtLeast((window[3]?.to ?? 0) - (window[0]?.from ?? 0), counter.windowMillis - 1)
        }
      }), 30_000)

    it.live("a call in the middle of a window does not begin another", () =>
      Effect.gen(function*() {
        const store = yield* open
        const counter = fixed("slow", 3, 900)
        const from = performance.now()
        yield* store.take([counter])
        yield* Effect.sleep("400 millis")
        for (let call = 0; call < 2; call++) assert.isTrue(isAllowed(yield* store.take([counter])))
        const [fourth] = yield* store.take([counter])
        if (performance.now() - from < counter.windowMillis) assert.isFalse(fourth?.allowed)
        yield* Effect.sleep(Math.ceil(fourth?.resetMillis ?? 0) + 2)
        assert.isTrue(isAllowed(yield* store.take([counter])))
      }))

    it.live("a bucket holds the limit and is filled one by one", () =>
      Effect.gen(function*() {
        const counter = bucket("bucket", 4, 400)
        const allowed = yield* insist(yield* connect, counter, 12)
        for (const [index, { to }] of allowed.entries()) {
          // The n-th call after the first four waits for n to be given back.
          if (index >= 4) assert.isAtLeast(to - (allowed[0]?.from ?? 0), (index - 3) * 100 - 1)
        }
      }), 30_000)

    it.live("a limit that changes holds from the next call on", () =>
      Effect.gen(function*() {
        const store = yield* open
        for (let call = 0; call < 3; call++) yield* store.take([fixed("changed", 3)])
        assert.isFalse(isAllowed(yield* store.take([fixed("changed", 2)])))
        assert.isTrue(isAllowed(yield* store.take([fixed("changed", 4)])))
      }))

    it.live("takes any key", () =>
      Effect.gen(function*() {
        const store = yield* open
        for (const key of ["", "żółw 🐢 ' \" {} , \\ %", "x".repeat(1_000), "[\"a\",null]", "ratelimit:*"]) {
          assert.isTrue(isAllowed(yield* store.take([fixed(key, 1)])))
          assert.isFalse(isAllowed(yield* store.take([fixed(key, 1)])))
        }
      }))
  })
