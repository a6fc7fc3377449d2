import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Context, Effect, Layer, Redacted } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PostgresRunStore } from "../src/postgres/index.ts"
import { RedisClient, RedisRunStore } from "../src/redis/index.ts"
import { SqliteClient, SqliteRunStore } from "../src/sqlite/index.ts"
import { killedSuite } from "./killedSuite.ts"
import * as PostgresServer from "./postgres/server.ts"
import * as RedisServer from "./redis/server.ts"
import { commit, tagsOf } from "./writes.ts"

const temporaryFile = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "sqlite-run-store-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  ),
  (folder) => join(folder, "runs.db")
)

describe("a process that writes to SQLite", () => {
  killedSuite(Effect.map(temporaryFile, (filename) => ({
    module: `
      import { SqliteRunStore } from "@fastagentic/stores/sqlite"
      const layer = SqliteRunStore.layer({ filename: ${JSON.stringify(filename)} })`,
    look: (use) =>
      openedSqlite(filename, (store, sql) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* sql`PRAGMA integrity_check`.values, [["ok"]])
          return yield* use(store)
        }))
  })))
})

const openedSqlite = <A, E>(
  filename: string,
  use: (store: RunStore["Service"], sql: SqlClient.SqlClient) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    return yield* use(yield* RunStore, yield* SqlClient.SqlClient)
  }).pipe(
    Effect.provide(Layer.provideMerge(SqliteRunStore.layerNoClient, SqliteClient.layer({ filename })), { local: true })
  )

RedisServer.describeWithServer("a process that writes to Redis", () => {
  killedSuite(Effect.gen(function*() {
    const { prefix, url } = yield* RedisServer.options
    const client = RedisClient.layer({ prefix, url })
    const context = yield* Layer.build(Layer.fresh(Layer.provideMerge(RedisRunStore.layerNoClient(), client)))
    const store = Context.get(context, RunStore)
    return {
      module: `
        import { Redis } from "@fastagentic/stores/redis"
        import { Redacted } from "effect"
        const url = Redacted.make(${JSON.stringify(Redacted.value(url))})
        const layer = Redis.layer({ url, prefix: ${JSON.stringify(prefix)} })`,
      look: (use) => use(store)
    }
  }))
})

const makeNode = Effect.fnUntraced(function*(url: Redacted.Redacted) {
  const layer = Layer.provideMerge(PostgresRunStore.layerNoClient(), PgClient.layer({ url, maxConnections: 4 }))
  const context = yield* Layer.build(Layer.fresh(layer))
  return { store: Context.get(context, RunStore), sql: Context.get(context, PgClient.PgClient) }
})

PostgresServer.describeWithServer("a process of a cluster", () => {
  killedSuite(Effect.gen(function*() {
    const url = yield* PostgresServer.database
    const { sql, store } = yield* makeNode(url)
    const quiet = Effect.repeat(
      sql`SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'fastagentic'`,
      { until: (rows) => rows.length === 0 }
    )
    return {
      module: `
        import { Postgres } from "@fastagentic/stores/postgres"
        import { Redacted } from "effect"
        const url = Redacted.make(${JSON.stringify(Redacted.value(url))})
        const layer = Postgres.layer({ url, lease: "1 second" })`,
      // The killed connection's statement ends after a while.
      look: (use) => Effect.andThen(quiet, use(store))
    }
  }))

  it.live("loses its runs to others when its lease has ended", () =>
    Effect.gen(function*() {
      const url = yield* PostgresServer.database
      const { store } = yield* makeNode(url)
      const dying = `
        import { RunStore } from "@fastagentic/core/store/RunStore"
        import { Postgres } from "@fastagentic/stores/postgres"
        import { Effect, Redacted } from "effect"
        const run = ${JSON.stringify(makeRun())}
        const layer = Postgres.layer({ url: Redacted.make(${JSON.stringify(Redacted.value(url))}), lease: "2 seconds" })
        const write = RunStore.use((store) => store.write([{ _tag: "Admit", run, events: [] }]))
        await Effect.runPromise(Effect.provide(Effect.tap(write, () => process.kill(process.pid, "SIGKILL")), layer))`
      const started = Date.now()
      const child = spawn(process.execPath, ["--input-type=module", "--eval", dying], {
        cwd: import.meta.dirname,
        stdio: "inherit"
      })
      assert.deepStrictEqual(yield* Effect.promise(() => once(child, "exit")), [null, "SIGKILL"])
      assert.deepStrictEqual(yield* store.unfinished, [])
      const [orphan] = yield* Effect.repeat(Effect.delay(store.unfinished, "100 millis"), {
        until: (runs) => runs.length > 0
      })
      assert.isAbove(Date.now() - started, 2_000)
      assert.isDefined(orphan)
      if (orphan === undefined) return
      const claim = commit(orphan, { from: ["queued", "running"], set: { attempt: 2 } })
      assert.deepStrictEqual(tagsOf(yield* store.write([claim, claim])), ["Committed", "Refused"])
    }))
})
