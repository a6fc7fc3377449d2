import { assert, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Caller, RateLimit, RunStore, Runtime, Schedule } from "@fastagentic/core"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "./server.ts"

const Tick = Agent.make("tick", { description: "Ticks", payload: {} })

const second = Schedule.make("second", { agent: Tick, cron: "* * * * * *", payload: {}, missed: "all" })

const app = App.make("acme", { version: "1", agents: [Tick], schedules: [second] })

const caller = Caller.make("local")

describeWithServer("Schedules of two nodes on one PostgreSQL", () => {
  it.live("start one run for each second, over a restart of each node", () =>
    Effect.gen(function*() {
      const url = yield* database
      const node = Runtime.layer(app, { grace: "1 second" }).pipe(
        Layer.provide(Tick.toLayer(() => Effect.succeed("ticked"))),
        Layer.provide([Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited]),
        Layer.provideMerge(Postgres.layer({ url }))
      )
      const during = (millis: number) =>
        Effect.scoped(Effect.andThen(Layer.build(Layer.fresh(node)), Effect.sleep(millis)))
      // Both nodes run at first, then each stops in turn: for a while no node runs.
      yield* Effect.all([during(5_000), Effect.delay(during(2_000), 500)], { concurrency: 2 })
      yield* Effect.sleep("2 seconds")
      yield* Effect.all([during(3_000), during(4_000)], { concurrency: 2 })
      const context = yield* Layer.build(Layer.fresh(node))
      const { items, at } = yield* Effect.all({
        items: Context.get(context, RunStore.RunStore).list({ tenant: "local", limit: 500 }),
        at: Context.get(context, Runtime.Runtime).schedules(caller)
      })
      assert.strictEqual(at[0]?.id, "second")
      const seconds = items.map(({ idempotencyKey = "" }) => Date.parse(idempotencyKey.split(" ")[2] ?? "") / 1_000)
      const inOrder = seconds.toSorted((a, b) => a - b)
      assert.isAtLeast(inOrder.length, 10)
      // Every second from the first to the last, and none twice.
      assert.deepStrictEqual(inOrder, inOrder.map((_, index) => (inOrder[0] ?? 0) + index))
      assert.isTrue(items.every(({ attempt }) => attempt === 1))
    }).pipe(Effect.scoped), 60_000)

  it.live("know what either of them has been asked: make, change, pause and remove", () =>
    Effect.gen(function*() {
      const url = yield* database
      const bare = App.make("acme", { version: "1", agents: [Tick] })
      const node = Runtime.layer(bare, { grace: "1 second" }).pipe(
        Layer.provide(Tick.toLayer(() => Effect.succeed("ticked"))),
        Layer.provide([Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited]),
        Layer.provideMerge(Postgres.layer({ url }))
      )
      const maker = yield* Scope.make()
      const one = yield* Layer.buildWithScope(Layer.fresh(node), maker)
      const two = yield* Layer.build(Layer.fresh(node))
      const other = Context.get(two, Runtime.Runtime)
      const keys = Effect.map(
        Context.get(two, RunStore.RunStore).list({ tenant: "local", limit: 500 }),
        (runs) => runs.map(({ idempotencyKey = "" }) => idempotencyKey)
      )
      const request = { agent: "tick", cron: "* * * * * *", payload: {}, missed: "all" } as const
      yield* Context.get(one, Runtime.Runtime).createSchedule(caller, "often", request)
      yield* Effect.sleep("3 seconds")
      const { lastRunId } = yield* other.schedule(caller, "often")
      assert.isString(lastRunId)
      // The node that was asked is gone, and the other one starts its runs.
      yield* Scope.close(maker, Exit.void)
      const before = (yield* keys).length
      yield* Effect.sleep("3 seconds")
      const after = yield* keys
      assert.isAtLeast(after.length, before + 2)
      assert.strictEqual(new Set(after).size, after.length)
      const third = yield* Layer.build(Layer.fresh(node))
      yield* Context.get(third, Runtime.Runtime).putSchedule(caller, "often", { ...request, cron: "0 0 1 1 *" })
      yield* Effect.sleep("2 seconds")
      const changed = (yield* keys).length
      yield* Effect.sleep("2 seconds")
      assert.strictEqual((yield* keys).length, changed)
      yield* other.removeSchedule(caller, "often")
      assert.deepStrictEqual(yield* Context.get(third, Runtime.Runtime).schedules(caller), [])
    }).pipe(Effect.scoped), 60_000)
})
