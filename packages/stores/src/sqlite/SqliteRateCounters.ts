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

/** The time from which a counter may be removed: not its exact end, which most calls move. */
const removable = (end: number) => Math.ceil(end / sweepMillis) * sweepMillis

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

    const keep = (connection: Connection, { key }: Counter, { since, used }: State, end: number, known: unknown) =>
      end === Number(known)
        ? connection.executeValues(update, [used, since, key])
        : connection.executeValues(upsert, [key, used, since, end])

    const takeFrom = Effect.fnUntraced(function*(connection: Connection, counters: ReadonlyArray<Counter>) {
      const now = yield* Clock.currentTimeMillis
      const rows = yield* Effect.forEach(
        counters,
        ({ key }) => Effect.map(connection.executeValues(select, [key]), ([row]) => row)
      )
      const states = rows.map((row): State | undefined =>
        row === undefined ? undefined : { used: Number(row[0]), since: Number(row[1]) }
      )
      const { next, taken } = decide(counters, states, now)
      for (const [index, state] of next?.entries() ?? []) {
        const counter = counters[index]
        if (counter === undefined) continue
        yield* keep(connection, counter, state, removable(endOf(counter, state)), rows[index]?.[2])
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

const select = "SELECT used, since, ends_at FROM rate_counters WHERE key = ?"

/** Leaves the index of ends alone. */
const update = "UPDATE rate_counters SET used = ?, since = ? WHERE key = ?"

const upsert = `
  INSERT INTO rate_counters (key, used, since, ends_at) VALUES (?, ?, ?, ?)
  ON CONFLICT (key) DO UPDATE SET used = excluded.used, since = excluded.since, ends_at = excluded.ends_at`

const remove = `
  DELETE FROM rate_counters
  WHERE key IN (SELECT key FROM rate_counters WHERE ends_at <= ? LIMIT ?) RETURNING 1`
