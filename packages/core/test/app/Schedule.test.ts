import { assert, describe, it } from "@effect/vitest"
import {
  Agent,
  App,
  Audit,
  Auth,
  Budget,
  Caller,
  RateLimit,
  RunStore,
  Runtime,
  Schedule,
  ScheduleStore
} from "@fastagentic/core"
import { Context, Effect, Exit, Layer, Schema, Scope } from "effect"
import * as TestClock from "effect/testing/TestClock"

const Report = Agent.make("report", {
  description: "Reports",
  payload: { of: Schema.DateFromString },
  scopes: ["reports:write"]
})

const may = { principal: "reports", tenant: "acme", scopes: ["reports:write"] }
const payload = { of: new Date("2026-01-01T00:00:00.000Z") }
/** Ten minutes are fewer seconds to look at than an hour. */
const often = { agent: Report, cron: "*/10 * * * *", payload, as: may }

const caller = Caller.make("local")
const tick = 600_000
const day = 86_400_000

/** The stores, which outlive the nodes on them. */
const makeWorld = Effect.map(
  Layer.build(Layer.mergeAll(
    RunStore.RunStore.layerMemory,
    ScheduleStore.ScheduleStore.layerMemory,
    Auth.layerNone,
    RateLimit.layerUnlimited,
    Budget.layerUnlimited,
    Audit.layerMemory
  )),
  (kept) => {
    const started: Array<string> = []
    /** A node on what is kept, for as long as the effect takes. */
    const during = <A, E>(
      schedules: ReadonlyArray<Schedule.Any>,
      use: (runtime: Runtime.Runtime["Service"]) => Effect.Effect<A, E>
    ) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const app = App.make("acme", { version: "1", agents: [Report], schedules })
        const node = yield* Layer.buildWithScope(
          Runtime.layer(app, { grace: 0 }).pipe(
            Layer.provide(Report.toLayer(({ of }) =>
              Effect.clockWith((clock) =>
                Effect.sync(() => {
                  started.push(new Date(clock.currentTimeMillisUnsafe()).toISOString().slice(11, 16))
                  return of.toISOString()
                })
              )
            )),
            Layer.provide(Layer.succeedContext(kept))
          ),
          scope
        )
        return yield* Effect.onExit(
          use(Context.get(node, Runtime.Runtime)),
          () => Scope.close(scope, Exit.void)
        )
      })
    const runs = Effect.map(
      Context.get(kept, RunStore.RunStore).list({ tenant: "acme", limit: 500 }),
      (all) => all.toReversed()
    )
    return { during, runs, started, marks: Context.get(kept, ScheduleStore.ScheduleStore) }
  }
)

const passes = (millis: number) => TestClock.adjust(millis)

describe("A schedule", () => {
  it.effect("starts a run at each tick, for its principal and with its payload", () =>
    Effect.gen(function*() {
      const { during, runs, started } = yield* makeWorld
      yield* during([Schedule.make("often", often)], () => passes(3 * tick))
      assert.deepStrictEqual(started, ["00:10", "00:20", "00:30"])
      for (const run of yield* runs) {
        assert.deepInclude(run, { owner: "reports", tenant: "acme", state: "completed" })
        assert.deepStrictEqual(run.grants.scopes, ["reports:write"])
        assert.deepStrictEqual([run.payload, run.output], [
          { of: "2026-01-01T00:00:00.000Z" },
          payload.of.toISOString()
        ])
      }
    }).pipe(Effect.scoped))

  it.effect("starts one run for a tick that many nodes see", () =>
    Effect.gen(function*() {
      const { during, started } = yield* makeWorld
      const both = [Schedule.make("often", { ...often, missed: "all" })]
      yield* during(both, () => during(both, () => during(both, () => passes(2 * tick))))
      assert.deepStrictEqual(started, ["00:10", "00:20"])
    }).pipe(Effect.scoped))

  for (
    const [missed, expected] of [
      ["skip", ["00:10", "01:00"]],
      ["once", ["00:10", "00:55", "01:00"]],
      ["all", ["00:10", "00:55", "00:55", "00:55", "00:55", "01:00"]]
    ] as const
  ) {
    it.effect(`starts the runs of missed: ${missed} after a time when no server ran`, () =>
      Effect.gen(function*() {
        const { during, started } = yield* makeWorld
        const schedules = [Schedule.make("often", { ...often, missed })]
        yield* during(schedules, () => passes(tick))
        yield* passes(4.5 * tick)
        yield* during(schedules, () => passes(tick))
        assert.deepStrictEqual(started, [...expected])
      }).pipe(Effect.scoped))
  }

  it.effect("starts runs for the last 100 missed ticks at most", () =>
    Effect.gen(function*() {
      const { during, marks, runs } = yield* makeWorld
      const schedules = [Schedule.make("often", { ...often, cron: "* * * * * *", missed: "all" })]
      yield* during(schedules, () => passes(0))
      yield* passes(31 * day)
      const { upto = 0 } = (yield* marks.get("acme/often")) ?? {}
      const caughtUp = Effect.gen(function*() {
        for (let mark = yield* marks.get("acme/often"); mark?.upto === upto || mark?.waiting.length !== 0;) {
          yield* passes(100)
          mark = yield* marks.get("acme/often")
        }
      })
      yield* during(schedules, () => caughtUp)
      const keys = (yield* runs).map(({ idempotencyKey }) => idempotencyKey)
      assert.strictEqual(new Set(keys).size, keys.length)
      // The last half minute is not missed yet.
      assert.isAtLeast(keys.length, 100)
      assert.isBelow(keys.length, 200)
    }).pipe(Effect.scoped))

  it.effect("starts one run for a tick whose node died between the start and the mark", () =>
    Effect.gen(function*() {
      const { during, marks, started } = yield* makeWorld
      const schedules = [Schedule.make("often", { ...often, missed: "all" })]
      yield* during(schedules, () => passes(2 * tick))
      const mark = yield* marks.get("acme/often")
      assert.isDefined(mark)
      if (mark !== undefined) yield* marks.set({ ...mark, version: mark.version + 1, upto: tick }, mark.version)
      yield* during(schedules, () => passes(1_000))
      assert.deepStrictEqual(started, ["00:10", "00:20"])
    }).pipe(Effect.scoped))

  it.effect("whose principal lacks a scope starts no run, logs it, and keeps its ticks", () =>
    Effect.gen(function*() {
      const { during, marks, runs } = yield* makeWorld
      const schedules = [Schedule.make("often", { ...often, as: { ...may, scopes: [] } })]
      yield* during(schedules, () => passes(2 * tick))
      assert.deepStrictEqual(yield* runs, [])
      const mark = yield* marks.get("acme/often")
      assert.deepInclude(mark, { upto: 2 * tick })
      assert.notProperty(mark, "fired")
    }).pipe(Effect.scoped))

  it.effect("pauses, on every node and over restarts, and misses nothing by it", () =>
    Effect.gen(function*() {
      const { during, started } = yield* makeWorld
      const schedules = [
        Schedule.make("often", { ...often, missed: "all", as: { ...may, tenant: "local" } })
      ]
      yield* during(schedules, (runtime) =>
        Effect.gen(function*() {
          yield* passes(tick)
          const paused = yield* runtime.pauseSchedule(caller, "often", true)
          assert.deepInclude(paused, { id: "often", paused: true, last: tick })
          assert.notProperty(paused, "next")
          yield* passes(2 * tick)
        }))
      yield* during(schedules, (runtime) =>
        Effect.gen(function*() {
          yield* passes(tick)
          const { run } = yield* runtime.runSchedule(caller, "often")
          yield* runtime.await(caller, run.runId)
          const going = yield* runtime.pauseSchedule(caller, "often", false)
          assert.deepInclude(going, { paused: false, next: 5 * tick, last: tick })
          yield* passes(tick)
        }))
      assert.deepStrictEqual(started, ["00:10", "00:40", "00:50"])
    }).pipe(Effect.scoped))

  it.effect("is seen by its tenant only, and an invalid one stops the start of the server", () =>
    Effect.gen(function*() {
      const { during } = yield* makeWorld
      yield* during([Schedule.make("often", often)], (runtime) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* runtime.schedules(caller), [])
          const none = yield* Effect.flip(runtime.runSchedule(caller, "often"))
          assert.deepInclude(none.reason, { _tag: "NotDeclared", kind: "schedule" })
        }))
      const Other = Agent.make("other", { description: "Elsewhere", payload: {} })
      const wrong = [
        [Schedule.make("a", { ...often, cron: "never" })],
        [Schedule.make("a", { ...often, timeZone: "Mars/Olympus" })],
        [Schedule.make("a", { ...often, cron: "0 0 30 2 *" })],
        [Schedule.make("a", often), Schedule.make("a", often)],
        [Schedule.make("a", { agent: Other, cron: "* * * * *", payload: {} })]
      ]
      for (const schedules of wrong) {
        const error = yield* Effect.flip(during(schedules, () => Effect.void))
        assert.strictEqual(error._tag, "FusionError")
      }
    }).pipe(Effect.scoped))
})

describe("A schedule in a time zone", () => {
  const hour = 3_600_000
  const at = (iso: string) => TestClock.setTime(new Date(iso).getTime())

  it.effect("fires once when a time comes twice, and an hour later when it is left out", () =>
    Effect.gen(function*() {
      const { during, started } = yield* makeWorld
      const schedules = [Schedule.make("night", { ...often, cron: "30 2 * * *", timeZone: "Europe/Berlin" })]
      // From 01:45 on the clock of Berlin: 02:30 is left out in March, and comes twice in October.
      yield* at("2026-03-29T00:45:00Z")
      yield* during(schedules, () => passes(hour))
      yield* at("2026-10-24T23:45:00Z")
      yield* during(schedules, () => passes(2 * hour))
      assert.deepStrictEqual(started, ["01:30", "00:30"])
    }).pipe(Effect.scoped))
})
