// Contract of a `BudgetStore`. A test file of the implementation calls `suite` once.
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Random } from "effect"
import { BudgetStore, type Request, type Use } from "../../budget/BudgetStore.ts"

const minute = Duration.minutes(1)

const ask = (id: string, amount: number, options: Partial<Request> = {}): Request => ({
  id,
  bounds: [{ key: "a", hard: 1_000_000 }],
  least: amount,
  most: amount,
  lease: minute,
  ...options
})

const use = (cost: number | undefined, fields: Partial<Use> = {}): Use => ({
  day: "2026-11-22",
  tenant: "acme",
  user: "ann",
  agent: "support",
  model: "gpt-4.1",
  inputTokens: 10,
  outputTokens: 5,
  cacheReadTokens: 4,
  cacheWriteTokens: 2,
  cost,
  ...fields
})

/**
 * Declares the tests that every budget store passes.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = <E>(name: string, layer: Layer.Layer<BudgetStore, E>) =>
  describe(name, () => {
    const withStore = <A, E2>(run: (store: BudgetStore["Service"]) => Effect.Effect<A, E2>) =>
      Effect.scoped(Effect.flatMap(
        Layer.build(Layer.fresh(layer)),
        (context) => Effect.provideContext(Effect.flatMap(BudgetStore, run), context)
      ))

    const standing = (store: BudgetStore["Service"], key: string) =>
      Effect.map(
        store.counters([key]),
        ([one]) => one === undefined ? undefined : [one.settled, one.reserved]
      )

    it.live("reserves, settles what was really used, and releases", () =>
      withStore((store) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* store.counters(["a", "b"]), [])
          assert.deepStrictEqual(yield* store.reserve(ask("1", 300)), { _tag: "Granted", amount: 300, key: "a" })
          yield* store.reserve(ask("2", 200))
          assert.deepStrictEqual(yield* standing(store, "a"), [0, 500])
          yield* store.settle({ id: "1", keys: ["a"], use: use(120), again: false })
          assert.deepStrictEqual(yield* standing(store, "a"), [120, 200])
          yield* store.cancelReservation("2")
          yield* store.cancelReservation("2")
          yield* store.cancelReservation("none")
          assert.deepStrictEqual(yield* standing(store, "a"), [120, 0])
        })
      ))

    it.live("grants what is left, when that is enough", () =>
      withStore((store) =>
        Effect.gen(function*() {
          const bounds = [{ key: "wide", hard: 1_000 }, { key: "żółw 🐢 '\"", hard: 400 }]
          yield* store.reserve(ask("1", 300, { bounds }))
          const part = yield* store.reserve(ask("2", 0, { bounds, least: 50, most: 500 }))
          assert.deepStrictEqual(part, { _tag: "Granted", amount: 100, key: "żółw 🐢 '\"" })
          const none = yield* store.reserve(ask("3", 0, { bounds, least: 1, most: 500 }))
          assert.deepStrictEqual(none, { _tag: "Refused", key: "żółw 🐢 '\"", at: "hard", left: 0 })
          assert.deepStrictEqual(yield* standing(store, "wide"), [0, 400])
          assert.deepStrictEqual(yield* standing(store, "żółw 🐢 '\""), [0, 400])
        })
      ))

    it.live("refuses at the soft limit once it is reached, and takes nothing anywhere when one bound refuses", () =>
      withStore((store) =>
        Effect.gen(function*() {
          const soft = [{ key: "other", hard: 1_000 }, { key: "a", soft: 100, hard: 1_000 }]
          assert.strictEqual((yield* store.reserve(ask("1", 150, { bounds: soft })))._tag, "Granted")
          assert.deepStrictEqual(
            yield* store.reserve(ask("2", 150, { bounds: soft })),
            { _tag: "Refused", key: "a", at: "soft", left: 850 }
          )
          assert.deepStrictEqual(yield* standing(store, "other"), [0, 150])
          const hard = [{ key: "other", hard: 1_000 }, { key: "a", hard: 200 }]
          assert.deepStrictEqual(
            yield* store.reserve(ask("2", 150, { bounds: hard })),
            { _tag: "Refused", key: "a", at: "hard", left: 50 }
          )
          assert.deepStrictEqual(yield* standing(store, "other"), [0, 150])
        })
      ))

    it.live("counts money that is spent without a reservation, once", () =>
      withStore((store) =>
        Effect.gen(function*() {
          yield* store.reserve(ask("1", 100))
          yield* store.cancelReservation("1")
          yield* store.settle({ id: "1", keys: ["a"], use: use(70), again: false })
          assert.deepStrictEqual(yield* standing(store, "a"), [70, 0])
          yield* store.settle({ id: "1", keys: ["a"], use: use(70), again: true })
          assert.deepStrictEqual(yield* standing(store, "a"), [70, 0])
        })
      ))

    it.live("counts calls that cost nothing", () =>
      withStore((store) =>
        Effect.gen(function*() {
          for (const id of ["settled", "released"]) {
            assert.deepStrictEqual(yield* store.reserve(ask(id, 0)), { _tag: "Granted", amount: 0, key: "a" })
          }
          yield* store.cancelReservation("released")
          yield* store.settle({ id: "settled", keys: ["a"], use: use(0), again: false })
          assert.deepStrictEqual(yield* standing(store, "a"), [0, 0])
          const [used] = yield* store.usage({ tenant: "acme", from: "2026-11-22", to: "2026-11-22", by: [] })
          assert.strictEqual(used?.calls, 1)
        })
      ))

    it.live("releases what nobody renews", () =>
      withStore((store) =>
        Effect.gen(function*() {
          const short = Duration.millis(50)
          yield* store.reserve(ask("dead", 100, { lease: short }))
          yield* store.reserve(ask("alive", 10, { lease: short }))
          yield* store.renew(["alive", "none"], minute)
          yield* store.renew([], minute)
          let freed = 0
          while (freed === 0) {
            yield* Effect.sleep("20 millis")
            freed += yield* store.expire
          }
          assert.strictEqual(freed, 1)
          assert.deepStrictEqual(yield* standing(store, "a"), [0, 10])
          yield* store.cancelReservation("dead")
          assert.deepStrictEqual(yield* standing(store, "a"), [0, 10])
        })
      ))

    it.live("adds usage up by whatever is asked", () =>
      withStore((store) =>
        Effect.gen(function*() {
          const uses = [
            use(100),
            use(50),
            use(undefined, { model: "own" }),
            use(7, { user: "ben", day: "2026-11-21" }),
            use(1_000, { tenant: "other" })
          ]
          for (const [index, one] of uses.entries()) {
            yield* store.settle({ id: `${index}`, keys: [], use: one, again: false })
          }
          const query = { tenant: "acme", from: "2026-11-01", to: "2026-11-30" }
          const tokens = (calls: number) => ({
            calls,
            inputTokens: 10 * calls,
            outputTokens: 5 * calls,
            cacheReadTokens: 4 * calls,
            cacheWriteTokens: 2 * calls
          })
          const all = yield* store.usage({ ...query, by: [] })
          assert.deepStrictEqual(all, [{ ...tokens(4), unpriced: 1, cost: 157 }])
          const days = yield* store.usage({ ...query, by: ["day", "user"] })
          assert.deepStrictEqual(days, [
            { day: "2026-11-21", user: "ben", ...tokens(1), unpriced: 0, cost: 7 },
            { day: "2026-11-22", user: "ann", ...tokens(3), unpriced: 1, cost: 150 }
          ])
          const models = yield* store.usage({ ...query, user: "ann", from: "2026-11-22", by: ["agent", "model"] })
          assert.deepStrictEqual(models, [
            { agent: "support", model: "gpt-4.1", ...tokens(2), unpriced: 0, cost: 150 },
            { agent: "support", model: "own", ...tokens(1), unpriced: 1, cost: 0 }
          ])
          assert.deepStrictEqual(yield* store.usage({ ...query, model: "none", by: [] }), [])
          assert.deepStrictEqual(yield* store.usage({ ...query, to: "2026-11-20", by: ["day"] }), [])
        })
      ))

    it.live("never passes a limit, whoever races", () =>
      withStore((store) =>
        Effect.gen(function*() {
          let [granted, refused, spent] = [0, 0, 0]
          const hard = 10_000
          const call = Effect.fnUntraced(function*(index: number) {
            // Two counters in either order: whoever locks them in the order they are asked for would deadlock.
            const both = [{ key: "x", hard }, { key: "y", hard: 2 * hard }]
            const bounds = index % 2 === 0 ? both : both.toReversed()
            const most = 1 + (yield* Random.nextIntBetween(0, 400))
            const answer = yield* store.reserve(ask(`${index}`, 0, { bounds, least: Math.min(most, 50), most }))
            if (answer._tag === "Refused") return void refused++
            granted++
            yield* Effect.yieldNow
            const cost = yield* Random.nextIntBetween(0, answer.amount)
            if (index % 7 === 0) return yield* store.cancelReservation(`${index}`)
            spent += cost
            yield* store.settle({ id: `${index}`, keys: ["x", "y"], use: use(cost), again: false })
          })
          const watch = Effect.flatMap(store.counters(["x", "y"]), (counters) =>
            Effect.sync(() => {
              for (const { key, reserved, settled } of counters) {
                assert.isAtMost(settled + reserved, key === "x" ? hard : 2 * hard)
                assert.isAtLeast(reserved, 0)
              }
            }))
          const calls = Array.from({ length: 300 }, (_, index) => index)
          yield* Effect.forEach(calls, (index) => Effect.andThen(call(index), watch), {
            concurrency: 30,
            discard: true
          })
          assert.isAbove(granted, 0)
          assert.isAbove(refused, 0)
          assert.deepStrictEqual(yield* standing(store, "x"), [spent, 0])
          assert.deepStrictEqual(yield* standing(store, "y"), [spent, 0])
        })
      ))
  })
