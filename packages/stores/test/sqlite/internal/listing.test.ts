// The loop that adds new runs to the indexes of lists, on a database and a writer of its own.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as TestClock from "effect/testing/TestClock"
import { SqliteClient, SqliteWriter } from "../../../src/sqlite/index.ts"
import { makeListing } from "../../../src/sqlite/internal/listing.ts"
import * as migrations from "../../../src/sqlite/migrations.ts"

/** The loop over a database with so many new runs, and a writer that counts its transactions and fails at first. */
const listing = Effect.fnUntraced(function*(count: number, state: "running" | "completed", failures = 0) {
  const sql = yield* SqlClient
  const writer = yield* SqliteWriter.SqliteWriter
  yield* sql`
    INSERT INTO runs (run_id, tenant, owner, kind, agent, state, attempt, seq, emitted, durable, trace_id, fingerprint,
      created_at, updated_at, finished_at, listed)
    WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < ${count})
    SELECT 'r' || number, 't', 'o', 'agent', 'a', ${state}, 1, 0, 0, 1, 't', 'f', 0, 0,
      ${state === "completed" ? 1 : null}, 0 FROM numbers`
  const counted = { writes: 0 }
  const { listEnded } = yield* makeListing(sql, {
    write: (change) =>
      Effect.suspend(() => ++counted.writes <= failures ? Effect.die("the disk is full") : writer.write(change))
  })
  const left = Effect.map(sql`SELECT run_id FROM runs WHERE listed = 0`, (rows) => rows.length)
  return { counted, left, listEnded }
})

const inMemory = Layer.provideMerge(
  Layer.merge(migrations.layer, SqliteWriter.layer),
  SqliteClient.layer({ filename: ":memory:" })
)

describe("The listing of new runs", () => {
  it.effect("writes nothing while the runs that are left run for less than half a minute", () =>
    Effect.gen(function*() {
      const { counted, left } = yield* listing(1, "running")
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual([yield* left, counted.writes], [1, 0])
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual([yield* left, counted.writes], [0, 1])
    }).pipe(Effect.scoped, Effect.provide(inMemory)))

  it.effect("tries again after a failed round, without another run", () =>
    Effect.gen(function*() {
      const { counted, left } = yield* listing(1, "completed", 1)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([yield* left, counted.writes], [1, 1])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual([yield* left, counted.writes], [0, 2])
    }).pipe(Effect.scoped, Effect.provide(inMemory)))

  it.effect("lists a number of ended runs at once", () =>
    Effect.gen(function*() {
      const { left, listEnded } = yield* listing(600, "completed")
      yield* listEnded
      assert.strictEqual(yield* left, 350)
    }).pipe(Effect.scoped, Effect.provide(inMemory)))
})
