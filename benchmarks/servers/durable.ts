/** Our side of the durable runs: one agent with several steps, on the store that `STORE` names. */
import { Effect, Layer, Redacted, Schema } from "effect"
import { Agent, App, Caller, Defaults, Run, Runtime, Server, Sqlite } from "fastagentic"
import { ClusterStores } from "fastagentic/cluster"
import { Postgres } from "fastagentic/postgres"
import { answerInside } from "./inside.ts"
import { work } from "./work.ts"

class Walker extends Agent.make("walker", {
  description: "Takes the requested number of steps",
  payload: { steps: Schema.Int, millis: Schema.Int },
  success: Schema.Struct({ walked: Schema.Int })
}) {}

const WalkerLayer = Walker.toLayer(Effect.fn(function*({ millis, steps }) {
  for (let step = 1; step <= steps; step++) {
    yield* Run.step(`step ${step}`, Effect.promise(() => work(step, millis)))
  }
  return { walked: steps }
}))

class Walk extends App.make("walk", { version: "1.0.0", agents: [Walker] }) {}

const store = process.env["STORE"] ?? ""
const spread = process.env["ENGINE"] === "cluster"
const postgres = { url: Redacted.make(store) }
const sqlite = { filename: store }
const Stores: Layer.Layer<Sqlite.Stores, unknown> = store.startsWith("postgres:")
  ? (spread ? ClusterStores.layerPostgres(postgres) : Postgres.layer(postgres))
  : (spread ? ClusterStores.layerSqlite(sqlite) : Sqlite.layer(sqlite))

const Inside = Layer.effectDiscard(Effect.map(Runtime.Runtime, (runtime) => {
  const caller = Caller.make("local")
  answerInside((steps) =>
    Effect.runPromise(
      runtime.start(caller, { kind: "agent", identifier: "walker", payload: { steps, millis: 0 } }).pipe(
        Effect.flatMap(({ run }) => runtime.await(caller, run.runId)),
        Effect.tap(({ state }) => state === "completed" ? Effect.void : Effect.die(new Error(`a run is ${state}`)))
      )
    )
  )
}))

await Inside.pipe(
  Layer.provide(Server.layer(Walk, { port: Number(process.env["PORT"]) })),
  Layer.provide([WalkerLayer, Defaults.layerOpen]),
  Layer.provide(Stores),
  Layer.launch,
  Effect.runPromise
)
