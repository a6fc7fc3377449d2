import { assert, describe, it } from "@effect/vitest"
import { RateCounters } from "@fastagentic/core/door/RateCounters"
import { suite } from "@fastagentic/core/testing/contract/RateCountersContract"
import { Clock, Effect, Layer } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { TestClock } from "effect/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SqliteClient, SqliteRateCounters } from "../../src/sqlite/index.ts"

const temporaryFile = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "sqlite-rate-counters-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  ),
  (folder) => join(folder, "counters.db")
)

suite(
  "SqliteRateCounters in memory",
  Effect.succeed(SqliteRateCounters.layer({ filename: ":memory:" })),
  { nodes: 1 }
)
suite(
  "SqliteRateCounters in a file of three clients",
  Effect.map(temporaryFile, (filename) => SqliteRateCounters.layer({ filename })),
  { nodes: 3 }
)

const opened = <A, E>(
  filename: string,
  use: (store: RateCounters["Service"], sql: SqlClient.SqlClient) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    return yield* use(yield* RateCounters, yield* SqlClient.SqlClient)
  }).pipe(
    Effect.provide(Layer.provideMerge(SqliteRateCounters.layerNoClient, SqliteClient.layer({ filename })), {
      local: true
    })
  )

const once = (key: string) => ({ key, limit: 1, windowMillis: 30_000, algorithm: "fixed-window" }) as const

describe("SqliteRateCounters", () => {
  it.effect("continues its counts over a close and a new start", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const allowed = Effect.flatMap(
        Effect.forEach([1, 2], () => opened(filename, (store) => store.take([once("a")]))),
        (answers) => Effect.succeed(answers.map(([taken]) => taken?.allowed))
      )
      assert.deepStrictEqual(yield* allowed, [true, false])
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* allowed, [true, false])
    }))

  it.effect("does not write the index of ends with each call", () =>
    opened(":memory:", (store, sql) =>
      Effect.gen(function*() {
        const bucket = { key: "a", limit: 10, windowMillis: 30_000, algorithm: "token-bucket" } as const
        const end = sql`SELECT ends_at FROM rate_counters`.values
        yield* store.take([bucket])
        assert.deepStrictEqual(yield* end, [[60_000]])
        yield* sql`CREATE TRIGGER ends BEFORE UPDATE OF ends_at ON rate_counters BEGIN SELECT RAISE(ABORT, 'ends'); END`
        const [taken] = yield* store.take([bucket])
        assert.containSubset(taken, { allowed: true, used: 2 })
      })))

  it.effect("removes all expired counters, and nothing else", () =>
    opened(":memory:", (store, sql) =>
      Effect.gen(function*() {
        const names = sql<{ key: string }>`SELECT key FROM rate_counters ORDER BY key`
        yield* Effect.forEach(Array.from({ length: 2_500 }, (_, index) => once(`old ${index}`)), (counter) =>
          store.take([counter]), { concurrency: "unbounded" })
        assert.lengthOf(yield* names, 2_500)
        yield* TestClock.adjust("90 seconds")
        for (const key of ["a", "b", "c"]) {
          yield* store.take([once(key)])
        }
        assert.deepStrictEqual(
          (yield* names).map(({ key }) =>
            key
          ),
          ["a", "b", "c"]
        )
      })))

  it.effect("a file that cannot be written is StoreUnavailable", () =>
    opened(":memory:", (store, sql) =>
      Effect.gen(function*() {
        yield* sql`DROP TABLE rate_counters`
        assert.strictEqual((yield* Effect.flip(store.take([once("a")])))._tag, "StoreUnavailable")
      })))

  it.live("uses the time of the Clock service", () =>
    opened(":memory:", (store) =>
      Effect.gen(function*() {
        const before = yield* Clock.currentTimeMillis
        const [first] = yield* store.take([once("a")])
        assert.strictEqual(first?.resetMillis, 30_000)
        const [second] = yield* store.take([once("a")])
        const passed = (yield* Clock.currentTimeMillis) - before
        assert.isAtLeast((second?.resetMillis ?? 0) + passed, 30_000)
      })))
})
