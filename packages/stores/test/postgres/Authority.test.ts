import { assert, it } from "@effect/vitest"
import {
  Agent,
  ApiKeys,
  App,
  Auth,
  Budget,
  Caller,
  Principal,
  Principals,
  RateLimit,
  Run,
  type RunRecord,
  Runtime
} from "@fastagentic/core"
import { Context, Effect, Layer, Redacted } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "./server.ts"

const Naps = Agent.make("naps", { description: "Sleeps", payload: {} })
const Works = Agent.make("works", { description: "Works for long, step by step", payload: {} })
const app = App.make("acme", { version: "1", agents: [Naps, Works] })

const boss = new Principal.Principal({ id: "boss", tenant: "acme", scopes: ["*"], roles: [], claims: {} })
const asBoss = Caller.make("local", { credentials: { apiKey: Redacted.make("boss-key") } })

describeWithServer("A principal that is revoked on one node of two on PostgreSQL", () => {
  const world = Effect.gen(function*() {
    const worked: Array<string> = []
    const url = yield* database
    const auth = Auth.layerFirst(ApiKeys.layer, Auth.layerKeys([{ key: Redacted.make("boss-key"), principal: boss }]))
    const node = Runtime.layer(app, { grace: 0 }).pipe(
      Layer.provide(Layer.mergeAll(
        Naps.toLayer(() => Effect.andThen(Run.sleep("4 seconds"), Effect.sync(() => String(worked.push("naps"))))),
        Works.toLayer(() =>
          Effect.as(
            Effect.forEach(
              Array.from({ length: 60 }, (_, index) => `step ${index}`),
              (name) => Run.step(name, Effect.delay(Effect.sync(() => worked.push(name)), "100 millis"))
            ),
            "worked"
          )
        )
      )),
      Layer.provide([auth, RateLimit.layerUnlimited, Budget.layerUnlimited]),
      Layer.provideMerge(Postgres.layer({ url }))
    )
    const [first, second] = [yield* Layer.build(Layer.fresh(node)), yield* Layer.build(Layer.fresh(node))]
    const { key, secret } = yield* Effect.provideContext(
      ApiKeys.create({ id: "ann", tenant: "acme", scopes: ["*"] }),
      first
    )
    const until = Effect.fnUntraced(function*(runId: string, is: (run: RunRecord.RunRecord) => boolean) {
      for (let turn = 0; turn < 300; turn++) {
        const run = yield* Context.get(second, Runtime.Runtime).get(asBoss, runId)
        if (is(run)) return run
        yield* Effect.sleep("50 millis")
      }
      return assert.fail("the run did not come so far")
    })
    return {
      worked,
      one: Context.get(first, Runtime.Runtime),
      two: Context.get(second, Runtime.Runtime),
      second,
      key,
      caller: Caller.make("local", { credentials: { apiKey: secret } }),
      until
    }
  })

  const start = (runtime: Runtime.Runtime["Service"], caller: Caller.Caller, identifier: string) =>
    Effect.map(runtime.start(caller, { kind: "agent", identifier, payload: {} }), ({ run }) => run.runId)

  const isHeld = (run: RunRecord.RunRecord) => run.state === "suspended" && run.waitsFor === "principal"

  it.live(
    "loses the run that the other node drives, which makes no further step, and continues it when resumed",
    () =>
      Effect.gen(function*() {
        const { caller, one, two, until, worked } = yield* world
        const runId = yield* start(one, caller, "works")
        while (worked.length < 3) yield* Effect.sleep("20 millis")
        assert.deepStrictEqual(yield* two.changePrincipal(asBoss, "ann", "revoke"), { keys: 1, schedules: 0, runs: 1 })
        yield* until(runId, isHeld)
        yield* Effect.sleep("1500 millis")
        const seen = worked.length
        yield* Effect.sleep("500 millis")
        assert.strictEqual(worked.length, seen)
        assert.isBelow(seen, 20)
        yield* two.resume(asBoss, runId)
        const { attempt } = yield* until(runId, ({ state }) => state === "completed")
        assert.isAtLeast(attempt, 3)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("holds a run that rests in the memory of the other node", () =>
    Effect.gen(function*() {
      const { caller, key, one, second, until, worked } = yield* world
      const runId = yield* start(one, caller, "naps")
      yield* until(runId, ({ state }) => state === "suspended")
      yield* Effect.provideContext(ApiKeys.revoke(key.prefix), second)
      yield* until(runId, isHeld)
      assert.deepStrictEqual(worked, [])
    }).pipe(Effect.scoped), 60_000)

  it.live("by a process beside both nodes loses its runs on both", () =>
    Effect.gen(function*() {
      const { caller, one, second, two, until, worked } = yield* world
      const runs = [yield* start(one, caller, "works"), yield* start(two, caller, "works")]
      while (worked.length < 4) yield* Effect.sleep("20 millis")
      const done = Principals.change({ tenant: "acme", id: "ann" }, "cancel", "operator")
      assert.deepStrictEqual(yield* Effect.provideContext(done, second), { keys: 0, schedules: 0, runs: 2 })
      for (const runId of runs) yield* until(runId, ({ state }) => state === "cancelled")
      yield* Effect.sleep("1500 millis")
      const seen = worked.length
      yield* Effect.sleep("500 millis")
      assert.strictEqual(worked.length, seen)
    }).pipe(Effect.scoped), 60_000)
})
