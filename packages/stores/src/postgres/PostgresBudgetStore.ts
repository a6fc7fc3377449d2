/**
 * Budgets in a PostgreSQL database, shared by many nodes.
 *
 * @since 0.1.0
 */
import { type Answer, BudgetStore, type Use } from "@fastagentic/core/budget/BudgetStore"
import { Duration, Effect, Layer, Schema } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { makeBudgetReads } from "../sql/budgets.ts"
import { conflicts } from "./internal/conflicts.ts"
import { type Columns, Params } from "./internal/params.ts"
import { answered } from "./internal/withTimeout.ts"
import * as migrations from "./migrations.ts"

/**
 * Budgets on a given `SqlClient`; the tables must exist.
 *
 * **Details**
 *
 * Each operation is one statement: it locks its counters in the order of their keys, decides, and writes. Leases use
 * the clock of the database.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<BudgetStore["Service"], never, SqlClient> = Effect.map(SqlClient, (sql) => {
  const run = (text: string, { values }: Params) => sql.unsafe(text, values)

  /** Creates missing counters, because only an existing row can be locked. */
  const makeCounters = (keys: ReadonlyArray<string>) => {
    const params = new Params()
    const text = `
      WITH ${params.table("wanted", { key: "text" }, keys.map((key) => [key]))}
      INSERT INTO budgets (key) SELECT key FROM wanted ORDER BY key ON CONFLICT DO NOTHING`
    return run(text, params)
  }

  return BudgetStore.of({
    ...makeBudgetReads(sql, answered),

    reserve: ({ bounds, id, lease, least, most }) => {
      const params = new Params()
      const rows = bounds.map(({ hard, key, soft }, index) => [index, key, soft, hard])
      const text = `
        WITH ${params.table("wanted", boundColumns, rows)},
        counter AS MATERIALIZED (
          SELECT key, settled + reserved AS used FROM budgets WHERE key IN (SELECT key FROM wanted)
          ORDER BY key FOR UPDATE
        ),
        room AS MATERIALIZED (
          SELECT place, key, hard - used AS rest, COALESCE(used >= soft, false) AS softened
          FROM wanted JOIN counter USING (key)
        ),
        refusal AS MATERIALIZED (
          SELECT key, rest, softened FROM room
          WHERE softened OR rest < ${params.add(least)}::float8 ORDER BY place LIMIT 1
        ),
        granted AS MATERIALIZED (
          SELECT LEAST(${params.add(most)}::float8, rest) AS amount, key FROM room
          WHERE NOT EXISTS (SELECT FROM refusal) ORDER BY rest, place LIMIT 1
        ),
        taken AS (
          UPDATE budgets SET reserved = reserved + amount::bigint FROM granted
          WHERE budgets.key IN (SELECT key FROM wanted)
        ),
        kept AS (
          INSERT INTO reservations (id, keys, amount, expires_at)
          SELECT ${params.add(id)}::text, ARRAY(SELECT key FROM wanted), amount::bigint, ${leaseEnd(params, lease)}
          FROM granted
        )
        SELECT amount, key, NULL AS rest, NULL AS softened FROM granted
        UNION ALL SELECT NULL, key, rest, softened FROM refusal`
      return Effect.andThen(makeCounters(bounds.map(({ key }) => key)), run(text, params)).pipe(
        Effect.retry(conflicts),
        Effect.flatMap(decodeAnswer),
        Effect.map(([row]): Answer =>
          row.amount !== null
            ? { _tag: "Granted", amount: row.amount, key: row.key }
            : { _tag: "Refused", key: row.key, at: row.softened === true ? "soft" : "hard", left: row.rest ?? 0 }
        ),
        answered("reserve")
      )
    },

    renew: (ids, lease) => {
      const params = new Params()
      const text = `
        WITH ${params.table("mine", { id: "text" }, ids.map((id) => [id]))}
        UPDATE reservations SET expires_at = ${leaseEnd(params, lease)} FROM mine WHERE reservations.id = mine.id`
      return run(text, params).pipe(
        Effect.retry(conflicts),
        Effect.asVoid,
        answered("renew reservations")
      )
    },

    settle: ({ again, id, keys, use }) => {
      const params = new Params()
      const cost = `${params.add(use.cost ?? 0)}::float8::bigint`
      const text = `
        WITH ${params.table("wanted", { key: "text" }, keys.map((key) => [key]))},
        gone AS (DELETE FROM reservations WHERE id = ${params.add(id)}::text RETURNING keys, amount),
        due AS MATERIALIZED (
          SELECT keys, amount FROM gone
          UNION ALL SELECT ARRAY(SELECT key FROM wanted), 0
          WHERE NOT EXISTS (SELECT FROM gone) AND NOT ${params.add(again)}::boolean
        ),
        locked AS MATERIALIZED (
          SELECT key FROM budgets WHERE key IN (SELECT unnest(keys) FROM due) ORDER BY key FOR UPDATE
        ),
        counted AS (
          UPDATE budgets SET reserved = reserved - due.amount, settled = settled + ${cost} FROM due
          WHERE budgets.key IN (SELECT key FROM locked)
        ),
        ${params.table("used", useColumns, [rowOf(use)])}
        INSERT INTO usage SELECT used.*  FROM used, due
        ON CONFLICT (tenant, day, owner, agent, model) DO UPDATE SET
          calls = usage.calls + 1, unpriced = usage.unpriced + excluded.unpriced,
          input_tokens = usage.input_tokens + excluded.input_tokens,
          output_tokens = usage.output_tokens + excluded.output_tokens,
          cache_read_tokens = usage.cache_read_tokens + excluded.cache_read_tokens,
          cache_write_tokens = usage.cache_write_tokens + excluded.cache_write_tokens,
          cost = usage.cost + excluded.cost`
      return run(text, params).pipe(Effect.retry(conflicts), Effect.asVoid, answered("settle"))
    },

    cancelReservation: (id) =>
      sql`
        WITH gone AS (DELETE FROM reservations WHERE id = ${id} RETURNING keys, amount),
        locked AS MATERIALIZED (
          SELECT key FROM budgets WHERE key IN (SELECT unnest(keys) FROM gone) ORDER BY key FOR UPDATE
        )
        UPDATE budgets SET reserved = reserved - gone.amount FROM gone
        WHERE budgets.key IN (SELECT key FROM locked)`.pipe(
        Effect.retry(conflicts),
        Effect.asVoid,
        answered("release")
      ),

    expire: sql`
      WITH late AS MATERIALIZED (
        SELECT id FROM reservations WHERE expires_at <= clock_timestamp() ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED
      ),
      gone AS (DELETE FROM reservations WHERE id IN (SELECT id FROM late) RETURNING keys, amount),
      owed AS MATERIALIZED (
        SELECT key, SUM(amount)::bigint AS amount FROM gone, unnest(keys) AS held (key) GROUP BY key
      ),
      locked AS MATERIALIZED (
        SELECT key FROM budgets WHERE key IN (SELECT key FROM owed) ORDER BY key FOR UPDATE
      ),
      freed AS (
        UPDATE budgets SET reserved = reserved - owed.amount FROM owed
        WHERE budgets.key = owed.key AND budgets.key IN (SELECT key FROM locked)
      )
      SELECT COUNT(*)::int AS count FROM gone`.pipe(
      Effect.retry(conflicts),
      Effect.flatMap(decodeCount),
      Effect.map(([{ count }]) => count),
      answered("expire reservations")
    )
  })
})

/**
 * Creates the tables when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<BudgetStore, MigrationError | SqlError, SqlClient> = Layer.effect(
  BudgetStore,
  make
).pipe(Layer.provide(migrations.layer))

const leaseEnd = (params: Params, lease: Duration.Duration) =>
  `clock_timestamp() + ${params.add(Duration.toMillis(lease))}::float8 * interval '1 millisecond'`

const decodeAnswer = Schema.decodeUnknownEffect(Schema.NonEmptyArray(Schema.Struct({
  amount: Schema.NullOr(Schema.Finite),
  key: Schema.String,
  rest: Schema.NullOr(Schema.Finite),
  softened: Schema.NullOr(Schema.Boolean)
})))

const decodeCount = Schema.decodeUnknownEffect(Schema.NonEmptyArray(Schema.Struct({ count: Schema.Int })))

const boundColumns: Columns = { place: "float8", key: "text", soft: "float8", hard: "float8" }

const useColumns: Columns = {
  tenant: "text",
  day: "text",
  owner: "text",
  agent: "text",
  model: "text",
  calls: "float8",
  unpriced: "float8",
  input_tokens: "float8",
  output_tokens: "float8",
  cache_read_tokens: "float8",
  cache_write_tokens: "float8",
  cost: "float8"
}

const rowOf = (use: Use) => [
  ...[use.tenant, use.day, use.user, use.agent, use.model].map((text) => text.replaceAll("\0", "\uFFFD")),
  1,
  use.cost === undefined ? 1 : 0,
  use.inputTokens,
  use.outputTokens,
  use.cacheReadTokens,
  use.cacheWriteTokens,
  use.cost ?? 0
]
