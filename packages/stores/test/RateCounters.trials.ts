import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SqliteRateCounters } from "../src/sqlite/index.ts"
import * as PostgresServer from "./postgres/server.ts"
import { limitOf, raceProcesses } from "./rateProcesses.ts"
import * as RedisServer from "./redis/server.ts"

const source = (kind: "postgres" | "redis" | "sqlite") => import.meta.resolve(`../src/${kind}/index.ts`)

describe("RateCounters on SQLite", () => {
  it.live("processes that are killed allow no more calls than the limit", () =>
    Effect.gen(function*() {
      const filename = join(mkdtempSync(join(tmpdir(), "sqlite-rate-counters-")), "counters.db")
      // The tables exist first: processes that create them together would be refused.
      yield* Effect.scoped(Layer.build(SqliteRateCounters.layer({ filename })))
      const allowed = yield* raceProcesses(
        `import { SqliteRateCounters } from "${source("sqlite")}"`,
        `SqliteRateCounters.layer({ filename: ${JSON.stringify(filename)} })`
      )
      assert.strictEqual(allowed, limitOf)
    }), 60_000)
})

RedisServer.describeWithServer("RateCounters on Redis", () => {
  it.live("processes that are killed allow no more calls than the limit", () =>
    Effect.gen(function*() {
      const { prefix, url } = yield* RedisServer.options
      const allowed = yield* raceProcesses(
        `import { RedisClient, RedisRateCounters } from "${source("redis")}"`,
        `Layer.provide(RedisRateCounters.layerNoClient, RedisClient.layer({
          url: Redacted.make("${Redacted.value(url)}"), prefix: "${prefix}"
        }))`
      )
      assert.strictEqual(allowed, limitOf)
    }), 60_000)
})

PostgresServer.describeWithServer("RateCounters on PostgreSQL", () => {
  it.live("processes that are killed allow no more calls than the limit", () =>
    Effect.gen(function*() {
      const url = Redacted.value(yield* PostgresServer.database)
      const allowed = yield* raceProcesses(
        `
        import { PgClient } from "@effect/sql-pg"
        import { PostgresRateCounters } from "${source("postgres")}"`,
        `Layer.provide(PostgresRateCounters.layerNoClient, PgClient.layer({ url: Redacted.make("${url}") }))`
      )
      assert.strictEqual(allowed, limitOf)
    }), 60_000)
})
