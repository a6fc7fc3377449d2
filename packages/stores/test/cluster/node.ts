/**
 * A node whose runs record every step in a file: `node.ts <store> <file>`. It prints `ready`, reads the number of runs
 * to start from its standard input, and prints `started` with their ids.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { PgClient } from "@effect/sql-pg"
import { Agent, App, Audit, Auth, Budget, Caller, RateLimit, Run, type RunStore, Runtime } from "@fastagentic/core"
import { Effect, Layer, Redacted, Schema } from "effect"
import { once } from "node:events"
import { appendFileSync } from "node:fs"
import { ClusterEngine } from "../../src/cluster/index.ts"
import { PostgresRunNotifier, PostgresRunStore } from "../../src/postgres/index.ts"
import { SqliteClient, SqliteRunStore } from "../../src/sqlite/index.ts"

const [store = "", witness = ""] = process.argv.slice(2)

class Walker extends Agent.make("walker", { description: "Walks", payload: { steps: Schema.Int } }) {}

const WalkerLayer = Walker.toLayer(Effect.fn(function*({ steps }) {
  const { record } = yield* Run.CurrentRun
  for (let step = 1; step <= steps; step++) {
    const take = Effect.sync(() => {
      appendFileSync(witness, `${Date.now()} ${process.pid} ${record.runId} ${step}\n`)
      return step
    })
    yield* Run.step(`step ${step}`, Effect.delay(take, "100 millis"))
  }
  return "there"
}))

class Walk extends App.make("walk", { version: "1", agents: [Walker] }) {}

const caller = Caller.make("local")

const Started = Layer.effectDiscard(Effect.gen(function*() {
  const runtime = yield* Runtime.Runtime
  console.log(`ready ${process.pid}`)
  const [runs] = yield* Effect.promise(() => once(process.stdin.setEncoding("utf8"), "data"))
  const started = yield* Effect.forEach(
    Array.from({ length: Number(runs) }),
    () => runtime.start(caller, { kind: "agent", identifier: "walker", payload: { steps: 30 } })
  )
  console.log(`started ${JSON.stringify(started.map(({ run }) => run.runId))}`)
}))

const Stores: Layer.Layer<RunStore.RunStore, unknown> = store.startsWith("postgres:")
  ? Layer.mergeAll(PostgresRunStore.layerNoClient(), PostgresRunNotifier.layerNoClient, ClusterEngine.layerCluster())
    .pipe(
      Layer.provide(PgClient.layer({ url: Redacted.make(store) }))
    )
  : Layer.mergeAll(SqliteRunStore.layerNoClient, ClusterEngine.layerEmbedded).pipe(
    Layer.provide(SqliteClient.layer({ filename: store, exclusive: true }))
  )

Started.pipe(
  Layer.provide(Runtime.layer(Walk)),
  Layer.provide([WalkerLayer, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited, Audit.layerMemory]),
  Layer.provide(Stores),
  Layer.launch,
  NodeRuntime.runMain
)
