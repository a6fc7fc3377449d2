import { assert, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Caller, RateLimit, Run, Runtime } from "@fastagentic/core"
import { Context, Effect, Layer, Schema } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "./server.ts"

const signals = { steer: Schema.String }
const Waits = Agent.make("waits", { description: "Waits for a message", payload: {}, signals })
const Works = Agent.make("works", { description: "Works beside a receive", payload: {}, signals })
const app = App.make("acme", { version: "1", agents: [Waits, Works] })

const caller = Caller.make("local")

describeWithServer("A message to a run of another node on PostgreSQL", () => {
  const twoNodes = Effect.gen(function*() {
    const url = yield* database
    const node = Runtime.layer(app, { grace: "1 second" }).pipe(
      Layer.provide(Layer.mergeAll(
        Waits.toLayer(() => Run.receive(Waits, "steer")),
        Works.toLayer(() =>
          Effect.map(
            Effect.all([
              Run.scope("listen")(Run.receive(Works, "steer")),
              Run.scope("work")(Run.step("work", Effect.as(Effect.sleep("4 seconds"), "worked")))
            ], { concurrency: 2 }),
            (parts) => parts.join(" ")
          )
        )
      )),
      Layer.provide([Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited]),
      Layer.provide(Postgres.layer({ url }))
    )
    const build = Effect.map(Layer.build(Layer.fresh(node)), (context) => Context.get(context, Runtime.Runtime))
    return [yield* build, yield* build] as const
  })

  const start = (runtime: Runtime.Runtime["Service"], identifier: string) =>
    Effect.map(runtime.start(caller, { kind: "agent", identifier, payload: {} }), ({ run }) => run.runId)

  const steer = (runtime: Runtime.Runtime["Service"], runId: string, payload: string, idempotencyKey?: string) =>
    runtime.signal(caller, runId, { signal: "steer", payload, idempotencyKey })

  it.live("reaches the branch that waits while another works", () =>
    Effect.gen(function*() {
      const [one, two] = yield* twoNodes
      const runId = yield* start(one, "works")
      yield* Effect.sleep("500 millis")
      assert.strictEqual((yield* two.get(caller, runId)).state, "running")
      yield* steer(two, runId, "left")
      yield* Effect.sleep("2 seconds")
      const types = (yield* two.events(caller, runId, { after: 0, limit: 100 })).map(({ type }) => type)
      assert.includeMembers(types, ["signal", "signal_received"])
      const ended = yield* two.await(caller, runId)
      assert.deepInclude(ended, { state: "completed", output: "left worked", attempt: 1 })
    }).pipe(Effect.scoped), 30_000)

  it.live("wakes a run that waits, once for a key that both nodes get", () =>
    Effect.gen(function*() {
      const [one, two] = yield* twoNodes
      for (let round = 0; round < 10; round++) {
        const runId = yield* start(one, "waits")
        if (round % 2 === 0) yield* Effect.sleep("200 millis")
        yield* Effect.forEach(
          [one, two, one, two],
          (node) => Effect.catchReason(steer(node, runId, "go", "k"), "RunError", "RunFinished", () => Effect.void),
          { concurrency: 4 }
        )
        const ended = yield* two.await(caller, runId)
        assert.deepInclude(ended, { state: "completed", output: "go" })
        const events = yield* two.events(caller, runId, { after: 0, limit: 100 })
        assert.strictEqual(events.filter(({ type }) => type === "signal_received").length, 1)
        assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1))
      }
    }).pipe(Effect.scoped), 60_000)
})
