import { assert, describe, it } from "@effect/vitest"
import {
  Agent,
  App,
  Audit,
  Auth,
  Budget,
  RateLimit,
  RunStore,
  Runtime,
  Schedule,
  ScheduleStore
} from "@fastagentic/core"
import { Context, Effect, Exit, Latch, Layer, Scope } from "effect"
import * as TestClock from "effect/testing/TestClock"

const Slow = Agent.make("slow", { description: "Works until the gate opens", payload: {} })

const minute = 60_000

const everyMinute = (overlap: Schedule.Overlap, missed: Schedule.Missed = "skip") =>
  Schedule.make("slow", { agent: Slow, cron: "* * * * *", payload: {}, overlap, missed })

/** The stores of a node, and starting nodes on them whose runs wait at a gate. */
const makeWorld = Effect.gen(function*() {
  const kept = yield* Layer.build(Layer.mergeAll(
    RunStore.RunStore.layerMemory,
    ScheduleStore.ScheduleStore.layerMemory,
    Auth.layerNone,
    RateLimit.layerUnlimited,
    Budget.layerUnlimited,
    Audit.layerMemory
  ))
  const gate = yield* Latch.make()
  const node = Effect.fnUntraced(function*(schedule: Schedule.Any) {
    const scope = yield* Scope.make()
    yield* Layer.buildWithScope(
      Runtime.layer(App.make("acme", { version: "1", agents: [Slow], schedules: [schedule] }), { grace: 0 }).pipe(
        Layer.provide(Slow.toLayer(() => Effect.as(gate.await, "done"))),
        Layer.provide(Layer.succeedContext(kept))
      ),
      scope
    )
    return { stop: Scope.close(scope, Exit.void) }
  })
  const runs = Effect.map(
    Context.get(kept, RunStore.RunStore).list({ tenant: "local", limit: 100 }),
    (all) =>
      all.toReversed().map(({ idempotencyKey = "", state }) => `${idempotencyKey.slice(-13, -8)} ${state}`).sort()
  )
  return { gate, node, runs, marks: Context.get(kept, ScheduleStore.ScheduleStore) }
})

const passes = (millis: number) => TestClock.adjust(millis)

describe("A tick whose schedule still has a run", () => {
  it.effect("starts its run beside it with overlap allow", () =>
    Effect.gen(function*() {
      const { node, runs } = yield* makeWorld
      yield* node(everyMinute("allow"))
      yield* passes(3 * minute)
      assert.deepStrictEqual(yield* runs, ["00:01 running", "00:02 running", "00:03 running"])
    }).pipe(Effect.scoped))

  it.effect("starts no run with overlap skip, and the next tick after the end starts one", () =>
    Effect.gen(function*() {
      const { gate, node, runs } = yield* makeWorld
      yield* node(everyMinute("skip"))
      yield* passes(3.5 * minute)
      assert.deepStrictEqual(yield* runs, ["00:01 running"])
      yield* gate.open
      yield* passes(minute)
      assert.deepStrictEqual(yield* runs, ["00:01 completed", "00:04 completed"])
    }).pipe(Effect.scoped))

  it.effect("waits for the end of that run with overlap queue, on every node and over a restart", () =>
    Effect.gen(function*() {
      const { gate, marks, node, runs } = yield* makeWorld
      const { stop } = yield* node(everyMinute("queue"))
      yield* passes(3.5 * minute)
      assert.deepStrictEqual(yield* runs, ["00:01 running"])
      assert.deepStrictEqual((yield* marks.get("acme/slow"))?.waiting, [2 * minute, 3 * minute])
      yield* stop
      yield* Effect.all([node(everyMinute("queue")), node(everyMinute("queue"))])
      yield* passes(2_000)
      assert.strictEqual((yield* runs).length, 1)
      yield* gate.open
      yield* passes(10_000)
      assert.deepStrictEqual(yield* runs, ["00:01 completed", "00:02 completed", "00:03 completed"])
      assert.deepStrictEqual((yield* marks.get("acme/slow"))?.waiting, [])
    }).pipe(Effect.scoped))

  it.effect("leaves only the last hundred waiting in a queue", () =>
    Effect.gen(function*() {
      const { marks, node } = yield* makeWorld
      yield* node(everyMinute("queue"))
      yield* passes(110 * minute)
      const { waiting = [] } = (yield* marks.get("acme/slow")) ?? {}
      assert.deepStrictEqual([waiting.length, waiting[0], waiting.at(-1)], [100, 11 * minute, 110 * minute])
    }).pipe(Effect.scoped))

  it.effect("starts one run for several missed ticks with overlap skip", () =>
    Effect.gen(function*() {
      const { node, runs } = yield* makeWorld
      const { stop } = yield* node(everyMinute("skip", "all"))
      yield* passes(1_000)
      yield* stop
      yield* passes(5 * minute)
      yield* node(everyMinute("skip", "all"))
      yield* passes(1_000)
      assert.deepStrictEqual(yield* runs, ["00:05 running"])
    }).pipe(Effect.scoped))
})
