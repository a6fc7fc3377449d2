/**
 * Counters of rate limits in a PostgreSQL database, shared by many nodes.
 *
 * @since 0.1.0
 */
import { PgTypes } from "@effect/sql-pg"
import { RateCounters } from "@fastagentic/core/door/RateCounters"
import { Effect, Layer, Result, Schema, type Scope } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { conflicts } from "./internal/conflicts.ts"
import { answered } from "./internal/withTimeout.ts"
import * as migrations from "./migrations.ts"

/**
 * Counters on a given `SqlClient`; the tables must exist.
 *
 * **Details**
 *
 * A call is one round trip: the function `take_rates` decides in the database, by its clock. Expired counters are
 * removed once a minute. A call without an answer after 30 seconds fails with `StoreUnavailable`.
 *
 * **Gotchas**
 *
 * A call does not wait for the disk of the database: a crash of the database can lose the calls of its last moments, a
 * crash of a node loses none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<RateCounters["Service"], never, SqlClient | Scope.Scope> = Effect.gen(function*() {
  const sql = yield* SqlClient
  const sweep = sql`
    DELETE FROM rate_counters WHERE key IN (
      SELECT key FROM rate_counters WHERE ends_at <= extract(epoch FROM clock_timestamp()) * 1000
      LIMIT 10000 FOR UPDATE SKIP LOCKED
    )`
  yield* Effect.sleep("1 minute").pipe(
    Effect.andThen(Effect.ignore(sweep)),
    Effect.forever,
    Effect.forkScoped
  )

  return RateCounters.of({
    take: Effect.fnUntraced(function*(counters) {
      // All nodes lock in the same order, so that no two wait for each other.
      const sorted = counters.toSorted((a, b) => a.key < b.key ? -1 : 1)
      const params = [
        array("text", sorted.map(({ key }) => key)),
        array("float8", sorted.map(({ limit }) => limit)),
        array("float8", sorted.map(({ windowMillis }) => windowMillis)),
        array("text", sorted.map(({ algorithm }) => algorithm))
      ]
      const rows = yield* sql.unsafe(
        "SELECT * FROM take_rates($1::text[], $2::float8[], $3::float8[], $4::text[])",
        params
      )
        .pipe(Effect.retry(conflicts), Effect.flatMap(decodeRows))
      const taken = new Map(sorted.map(({ key }, index) => [key, rows[index]]))
      return counters.map(({ key }) => taken.get(key) ?? nothing)
    }, answered("rate limit"))
  })
})

/**
 * Creates the tables when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<RateCounters, MigrationError | SqlError, SqlClient> = Layer.effect(
  RateCounters,
  make
).pipe(Layer.provide(migrations.layer))

const array = (type: "text" | "float8", values: ReadonlyArray<unknown>) =>
  Result.getOrThrow(PgTypes.array(values, PgTypes.OID[type]))

const nothing = { allowed: false, used: 0, resetMillis: 0 }

const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({
  allowed: Schema.Boolean,
  used: Schema.Finite,
  resetMillis: Schema.Finite
})))
