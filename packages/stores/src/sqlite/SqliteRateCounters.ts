/**
 * Counters of rate limits in a SQLite database.
 *
 * @since 0.1.0
 */
import { type Counter, decide, endOf, RateCounters, type State, type Taken } from "@fastagentic/core/RateCounters"
import { StoreUnavailable } from "@fastagentic/core/RunError"
import { Clock, Effect, Exit, Layer, Request, RequestResolver, Schema } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as migrations from "./migrations.ts"
import * as SqliteClient from "./SqliteClient.ts"

/** How often counters that are over are removed, and how many at once. */
const sweepMillis = 60_000
const sweepRows = 1_000

/**
 * Counters on whatever `SqlClient` is there; the table has to exist.
 *
 * **Details**
 *
 * Calls of the same moment share a transaction, and so a flush of the disk. Counters that are over are removed once a
 * minute, by a call that comes then.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<RateCounters["Service"], never, SqlClient.SqlClient> = Effect.map(
  SqlClient.SqlClient,
  (sql) => {
    let swept = 0

    const read = (keys: ReadonlyArray<string>) =>
      sql`SELECT key, used, since FROM rate_counters WHERE key IN (SELECT value FROM json_each(${
        JSON.stringify(keys)
      }))`
        .pipe(Effect.flatMap(decodeRows), Effect.map((rows) => new Map(rows.map(({ key, ...state }) => [key, state]))))

    const write = (rows: ReadonlyArray<readonly [string, number, number, number]>) =>
      sql`
        INSERT INTO rate_counters (key, used, since, ends_at)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(${JSON.stringify(rows)}) WHERE true
        ON CONFLICT (key) DO UPDATE SET used = excluded.used, since = excluded.since, ends_at = excluded.ends_at`

    const sweep = Effect.fnUntraced(function*(now: number) {
      const gone = yield* sql`
        DELETE FROM rate_counters
        WHERE key IN (SELECT key FROM rate_counters WHERE ends_at <= ${now} LIMIT ${sweepRows}) RETURNING 1`
      if (gone.length < sweepRows) swept = now
    })

    const takeAll = Effect.fnUntraced(function*(calls: ReadonlyArray<ReadonlyArray<Counter>>) {
      const now = yield* Clock.currentTimeMillis
      const states: Map<string, State> = yield* read([...new Set(calls.flatMap((call) => call.map(({ key }) => key)))])
      const changed = new Map<string, readonly [string, number, number, number]>()
      const answers = calls.map((counters) => {
        const { next, taken } = decide(counters, counters.map(({ key }) => states.get(key)), now)
        next?.forEach((state, index) => {
          const counter = counters[index]
          if (counter === undefined) return
          states.set(counter.key, state)
          changed.set(counter.key, [counter.key, state.used, state.since, endOf(counter, state)])
        })
        return taken
      })
      if (changed.size > 0) yield* write([...changed.values()])
      if (now - swept >= sweepMillis) yield* sweep(now)
      return answers
    }, sql.withTransaction)

    const resolver = RequestResolver.make<Take>((takes) =>
      Effect.map(takeAll(takes.map(({ request }) => request.counters)), (answers) => {
        for (const [index, take] of takes.entries()) take.completeUnsafe(Exit.succeed(answers[index] ?? []))
      })
    )

    return RateCounters.of({
      take: (counters) =>
        Effect.mapError(
          Effect.request(Take({ counters }), resolver),
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
export const layerNoClient: Layer.Layer<RateCounters, MigrationError | SqlError, SqlClient.SqlClient> = Layer.effect(
  RateCounters,
  make
).pipe(Layer.provide(migrations.layer))

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: SqliteClient.Options
): Layer.Layer<RateCounters, MigrationError | SqlError | SqliteClient.SqliteLocked> =>
  Layer.provide(layerNoClient, SqliteClient.layer(options))

interface Take extends Request.Request<ReadonlyArray<Taken>, SqlError | Schema.SchemaError> {
  readonly _tag: "Take"
  readonly counters: ReadonlyArray<Counter>
}

const Take = Request.tagged<Take>("Take")

const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({
  key: Schema.String,
  used: Schema.Finite,
  since: Schema.Finite
})))
