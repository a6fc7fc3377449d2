/**
 * Counters of rate limits in a SQLite database.
 *
 * @since 0.1.0
 */
import { type Counter, decide, endOf, RateCounters, type State } from "@fastagentic/core/door/RateCounters"
import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { Clock, Effect, Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import { freshLayer } from "../internal/freshLayer.ts"
import * as migrations from "./migrations.ts"
import * as SqliteClient from "./SqliteClient.ts"
import * as SqliteWriter from "./SqliteWriter.ts"

/** How often expired counters are removed, and how many at once. */
const sweepMillis = 60_000
const sweepRows = 1_000

/**
 * Counters on a given `SqlClient`; the table must exist.
 *
 * **Details**
 *
 * Once a minute a call also removes the expired counters.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<RateCounters["Service"], never, SqliteWriter.SqliteWriter> = Effect.map(
  SqliteWriter.SqliteWriter,
  (writer) => {
    let swept = 0

    const sweep = Effect.fnUntraced(function*(connection: Connection, now: number) {
      const gone = yield* connection.executeValues(remove, [now, sweepRows])
      if (gone.length < sweepRows) swept = now
    })

    const takeFrom = Effect.fnUntraced(function*(connection: Connection, counters: ReadonlyArray<Counter>) {
      const now = yield* Clock.currentTimeMillis
      const states = yield* Effect.forEach(
        counters,
        ({ key }) =>
          Effect.map(
            connection.executeValues(select, [key]),
            ([row]): State | undefined =>
              row === undefined ? undefined : { used: Number(row[0]), since: Number(row[1]) }
          )
      )
      const { next, taken } = decide(counters, states, now)
      for (const [index, state] of next?.entries() ?? []) {
        const counter = counters[index]
        if (counter === undefined) continue
        yield* connection.executeValues(upsert, [counter.key, state.used, state.since, endOf(counter, state)])
      }
      if (now - swept >= sweepMillis) yield* sweep(connection, now)
      return taken
    })

    return RateCounters.of({
      take: (counters) =>
        Effect.mapError(
          writer.write((connection) => takeFrom(connection, counters)),
          (cause) => new StoreUnavailable({ operation: "rate limit", cause })
        )
    })
  }
)

/**
 * Creates the table when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<RateCounters, MigrationError | SqlError, SqlClient> = Layer.effect(
  RateCounters,
  make
).pipe(Layer.provide([migrations.layer, SqliteWriter.layer]))

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: SqliteClient.Options
): Layer.Layer<RateCounters, MigrationError | SqlError | SqliteClient.SqliteLocked> =>
  freshLayer(Layer.provide(layerNoClient, SqliteClient.layer(options)))

// texts

const select = "SELECT used, since FROM rate_counters WHERE key = ?"

const upsert = `
  INSERT INTO rate_counters (key, used, since, ends_at) VALUES (?, ?, ?, ?)
  ON CONFLICT (key) DO UPDATE SET used = excluded.used, since = excluded.since, ends_at = excluded.ends_at`

const remove = `
  DELETE FROM rate_counters
  WHERE key IN (SELECT key FROM rate_counters WHERE ends_at <= ? LIMIT ?) RETURNING 1`
