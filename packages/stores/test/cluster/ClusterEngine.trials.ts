import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { suite } from "@fastagentic/core/testing/contract/RunEngineContract"
import { Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { join } from "node:path"
import { ClusterEngine } from "../../src/cluster/index.ts"
import { Postgres, PostgresRunStore } from "../../src/postgres/index.ts"
import { Sqlite, SqliteClient, SqliteRunStore } from "../../src/sqlite/index.ts"
import { database, describeWithServer } from "../postgres/server.ts"
import { isWalked, launch, until, witness } from "./processes.ts"

/** Asserts that the runs have ended, their journals have no gap, and the engine has no rows of them. */
const isDone = Effect.fnUntraced(function*(runIds: ReadonlyArray<string>) {
  const store = yield* RunStore
  for (const runId of runIds) {
    const run = yield* Effect.repeat(Effect.delay(store.get(runId), "50 millis"), {
      until: (run) => run?.finishedAt !== undefined
    })
    assert.strictEqual(run?.state, "completed")
    const events = yield* store.events(runId, 0, 1_000)
    assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1))
    assert.strictEqual(events.at(-1)?.type, "done")
  }
})

const rowsLeft = Effect.flatMap(SqlClient, (sql) =>
  Effect.map(
    sql`SELECT (SELECT COUNT(*) FROM fastagentic_engine_messages) + (SELECT COUNT(*) FROM fastagentic_engine_replies) AS rows`,
    ([counted]) => Number(counted?.["rows"])
  ))

const isSweptInTheEnd = Effect.repeat(Effect.delay(rowsLeft, "200 millis"), { until: (rows) => rows === 0 })

/** Waits until each of two nodes holds half of the shards, by locks of its connection. */
const shardsAreShared = Effect.repeat(
  Effect.delay(
    Effect.flatMap(SqlClient, (sql) =>
      sql`SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        GROUP BY pid HAVING COUNT(*) > 100`),
    "100 millis"
  ),
  { until: (holders) => holders.length === 2 }
)

describe("one process", () => {
  suite(
    "contract",
    Layer.mergeAll(Sqlite.layerNoClient, ClusterEngine.layerEmbedded).pipe(
      Layer.provide(SqliteClient.layer({ filename: ":memory:" }))
    )
  )

  it.live(
    "continues after SIGKILL, with started and with queued runs",
    () =>
      Effect.gen(function*() {
        const { file: seen, folder, steps } = yield* witness
        const filename = join(folder, "runs.db")
        const first = yield* launch(filename, seen)
        yield* first.ready
        const runIds = yield* first.start(20)
        yield* until(() => steps().length > 50)
        yield* first.kill()
        const second = yield* launch(filename, seen)
        yield* second.ready
        yield* until(() => new Set(steps().filter(({ step }) => step === 30).map(({ runId }) => runId)).size === 20)
        // Waits until ended turns are removed.
        yield* Effect.sleep("6 seconds")
        yield* second.kill()
        const left = Effect.andThen(isDone(runIds), rowsLeft)
        const file = Layer.provideMerge(SqliteRunStore.layerNoClient, SqliteClient.layer({ filename }))
        assert.strictEqual(yield* Effect.provide(left, file), 0)
        for (const runId of runIds) isWalked(steps(), runId, first.pid)
      }).pipe(Effect.scoped),
    120_000
  )
})

describeWithServer("many processes", () => {
  suite(
    "contract",
    Layer.mergeAll(Postgres.layerNoClient(), ClusterEngine.layerCluster()).pipe(
      Layer.provide(Layer.unwrap(Effect.map(database, (url) => PgClient.layer({ url }))))
    )
  )

  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    it.live(`share the runs of one, and continue those of one that ends by ${signal}`, () =>
      Effect.gen(function*() {
        const url = yield* database
        const store = Redacted.value(url)
        const { file, steps } = yield* witness
        const nodes = Layer.provideMerge(PostgresRunStore.layerNoClient(), PgClient.layer({ url }))
        const other = yield* launch(store, file)
        const first = yield* launch(store, file)
        yield* Effect.andThen(Effect.andThen(other.ready, first.ready), Effect.provide(shardsAreShared, nodes))
        const runIds = yield* first.start(40)
        const both = () => [first, other].every(({ pid }) => steps().some((step) => step.pid === pid))
        yield* until(both)
        yield* Effect.sleep("1 second")
        const killedAt = Date.now()
        yield* first.kill(signal)
        const wasHis = new Set(steps().filter(({ pid }) => pid === first.pid).map(({ runId }) => runId))
        assert.isAbove(wasHis.size, 0)
        yield* Effect.provide(
          Effect.andThen(isDone(runIds), isSweptInTheEnd),
          nodes
        )
        for (const runId of runIds) isWalked(steps(), runId, first.pid)
        const resumed = [...wasHis].map((runId) =>
          steps().find((step) => step.runId === runId && step.pid === other.pid && step.at > killedAt)?.at ?? NaN
        )
        console.log(
          `${wasHis.size} of 40, ${signal}: the first went on after ${
            Math.min(...resumed) - killedAt
          } ms, the last after ${Math.max(...resumed) - killedAt} ms`
        )
      }).pipe(Effect.scoped), 120_000)
  }
})
