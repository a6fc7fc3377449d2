import { assert, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Caller, Event, RateLimit, Run, Runtime } from "@fastagentic/core"
import { Context, Effect, Exit, Fiber, Layer, Schema, Scope, Stream } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "./server.ts"

class Walker extends Agent.make("walker", {
  description: "Walks in steps, and pauses when it is asked to",
  payload: { steps: Schema.Int, pause: Schema.Boolean }
}) {}

const WalkerLayer = Walker.toLayer(Effect.fn(function*({ pause, steps }) {
  for (let step = 1; step <= steps; step++) {
    yield* Run.step("step", Effect.as(Effect.sleep("200 millis"), step))
    yield* Run.emit(Event.token(`${step} `))
  }
  if (pause) yield* Effect.orDie(Run.interrupt("go on", { schema: Schema.Boolean }))
  return "there"
}))

class Walk extends App.make("walk", { version: "1", agents: [Walker] }) {}

const caller = Caller.make("local")

/** A node with its own connections and runtime. */
const node = Effect.fnUntraced(function*(url: Postgres.Options["url"]) {
  const scope = yield* Scope.make()
  const services = yield* Layer.buildWithScope(
    Layer.fresh(
      Runtime.layer(Walk).pipe(
        Layer.provide([WalkerLayer, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited]),
        Layer.provide(Postgres.layer({ url, lease: "1 second" }))
      )
    ),
    scope
  )
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  return { runtime: Context.get(services, Runtime.Runtime), stop: Scope.close(scope, Exit.void) }
})

type Node = Effect.Success<ReturnType<typeof node>>

const start = ({ runtime }: Node, payload: Schema.Json) =>
  Effect.map(runtime.start(caller, { kind: "agent", identifier: "walker", payload }), ({ run }) => run.runId)

const follow = Effect.fnUntraced(function*({ runtime }: Node, runId: string) {
  const pages = yield* runtime.follow(caller, runId, { after: 0, until: "final" })
  return (yield* Stream.runCollect(pages)).flatMap(({ events }) => events)
})

const isWhole = (events: ReadonlyArray<Event.RunEvent>) =>
  assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1))

describeWithServer("two nodes on one database", () => {
  it.live("stream each other's runs while they run", () =>
    Effect.gen(function*() {
      const url = yield* database
      const [a, b] = [yield* node(url), yield* node(url)]
      const runId = yield* start(a, { steps: 4, pause: false })
      const events = yield* follow(b, runId)
      isWhole(events)
      assert.strictEqual(events.at(-1)?.type, "done")
      assert.strictEqual((yield* b.runtime.await(caller, runId)).output, "there")
    }).pipe(Effect.scoped))

  it.live("answer each other's interrupts", () =>
    Effect.gen(function*() {
      const url = yield* database
      const [a, b] = [yield* node(url), yield* node(url)]
      const runId = yield* start(a, { steps: 1, pause: true })
      const seen = yield* Effect.forkChild(follow(a, runId))
      yield* a.runtime.await(caller, runId)
      const [open] = yield* b.runtime.interrupts(caller, runId)
      yield* b.runtime.answer(caller, runId, open?.id ?? "", { decision: "approve", value: true })
      assert.strictEqual((yield* b.runtime.await(caller, runId)).output, "there")
      const events = yield* Fiber.join(seen)
      isWhole(events)
      assert.strictEqual(events.at(-1)?.type, "done")
    }).pipe(Effect.scoped))

  it.live("continue a run whose node was lost, in the streams of its followers", () =>
    Effect.gen(function*() {
      const url = yield* database
      const [a, b] = [yield* node(url), yield* node(url)]
      const runId = yield* start(a, { steps: 10, pause: false })
      const seen = yield* Effect.forkChild(follow(b, runId))
      yield* Effect.sleep("700 millis")
      yield* a.stop
      const events = yield* Fiber.join(seen)
      isWhole(events)
      assert.strictEqual(events.at(-1)?.type, "done")
      const tokens = events.flatMap((event) => event.type === "token" ? [event.data.delta] : [])
      assert.strictEqual(tokens.join(""), "1 2 3 4 5 6 7 8 9 10 ")
      assert.strictEqual((yield* b.runtime.get(caller, runId)).attempt, 2)
    }).pipe(Effect.scoped))
})
