import { Agent, App, Auth, Budget, RateLimit, Run, Runtime } from "@fastagentic/core"
import { Deferred, Duration, Effect, Layer, Schema } from "effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import { serve } from "./fixture.ts"
import { layerStores } from "./stores.ts"

/** Sleeps for the given time. */
export class Nap extends Agent.make("nap", {
  description: "Sleeps",
  payload: { millis: Schema.Int },
  success: Schema.Struct({ slept: Schema.Int })
}) {}

/** Delegates its sleep to `nap`. */
export class Boss extends Agent.make("boss", { description: "Delegates", payload: { millis: Schema.Int } }) {}

/** Makes one step, and then fails while `broken` is set. */
export class Flaky extends Agent.make("flaky", { description: "May fail", payload: { name: Schema.String } }) {}

/** Runs one at a time, each until the gate is open. */
export class Line extends Agent.make("line", {
  description: "Waits in line",
  payload: { name: Schema.String },
  concurrency: { total: 1 }
}) {}

/** Allows one run of a thread at a time. */
export class Single extends Agent.make("single", { description: "One", payload: {}, threads: "reject" }) {}

/** Asks for a decision, and then is queued again. */
export class Asks extends Agent.make("asks", {
  description: "Asks, one at a time",
  payload: {},
  concurrency: { total: 1 }
}) {}

export class Works extends App.make("works", { version: "1.0.0", agents: [Nap, Boss, Flaky, Line, Single, Asks] }) {}

/** The state that the handlers read, and their effects. */
export interface World {
  broken: boolean
  steps: number
  readonly started: Array<string>
  readonly gate: Deferred.Deferred<void>
}

const makeWorld = Effect.map(
  Deferred.make<void>(),
  (gate): World => ({ broken: true, steps: 0, started: [], gate })
)

const handlers = (world: World) =>
  Layer.mergeAll(
    Nap.toLayer(({ millis }) => Effect.as(Run.sleep(Duration.millis(millis)), { slept: millis })),
    Boss.toLayer(({ millis }) =>
      Run.delegate(Nap, { millis }).pipe(Effect.orDie, Effect.map(({ slept }) => `somebody slept ${slept}`))
    ),
    Flaky.toLayer(Effect.fnUntraced(function*({ name }) {
      const count = yield* Run.step("count", Effect.sync(() => ++world.steps))
      if (world.broken) return yield* Effect.die(new Error("broken"))
      return `${name} ${count}`
    })),
    Line.toLayer(({ name }) =>
      Effect.suspend(() => {
        world.started.push(name)
        return Effect.as(Deferred.await(world.gate), name)
      })
    ),
    Single.toLayer(() => Effect.as(Deferred.await(world.gate), "done")),
    Asks.toLayer(() => Effect.map(Effect.orDie(Run.interrupt("go", { schema: Schema.Boolean })), (ok) => `went: ${ok}`))
  )

const layerWorks = (world: World) =>
  Runtime.layer(Works, { grace: "100 millis" }).pipe(
    Layer.provide(handlers(world)),
    Layer.provideMerge(Layer.mergeAll(
      layerStores,
      Auth.layerNone,
      RateLimit.layerUnlimited,
      Budget.layerUnlimited
    ))
  )

/** Serves the app; runs that wait at the gate do not delay the end of the test. */
export const serveWorks = <E>(routes: Layer.Layer<never, E, HttpRouter.HttpRouter | Runtime.Runtime | Auth.Auth>) =>
  Effect.gen(function*() {
    const world = yield* makeWorld
    const url = yield* serve(Layer.provide(routes, layerWorks(world)))
    yield* Effect.addFinalizer(() => Deferred.succeed(world.gate, undefined))
    return { url, world }
  })
