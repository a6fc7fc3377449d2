/**
 * Budgets in a SQLite database.
 *
 * @since 0.1.0
 */
import { BudgetStore, decide, type Use } from "@fastagentic/core/BudgetStore"
import { Clock, Duration, Effect, Layer, Schema } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { makeBudgetReads } from "../sql/budgets.ts"
import { unavailable } from "../sql/unavailable.ts"
import * as migrations from "./migrations.ts"
import * as SqliteClient from "./SqliteClient.ts"

/**
 * Budgets on whatever `SqlClient` is there; the tables have to exist. Each operation is one transaction.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<BudgetStore["Service"], never, SqlClient.SqlClient> = Effect.map(
  SqlClient.SqlClient,
  (sql) => {
    const reads = makeBudgetReads(sql, unavailable)

    const add = (key: string, settled: number, reserved: number) =>
      sql`
        INSERT INTO budgets (key, settled, reserved) VALUES (${key}, ${settled}, ${reserved})
        ON CONFLICT (key) DO UPDATE SET settled = settled + excluded.settled, reserved = reserved + excluded.reserved`

    /** Takes a reservation back, and says what it was for. */
    const free = Effect.fnUntraced(function*(id: string) {
      const [held] = yield* decodeHeld(yield* sql`DELETE FROM reservations WHERE id = ${id} RETURNING id, keys, amount`)
      for (const key of held?.keys ?? []) yield* add(key, 0, -(held?.amount ?? 0))
      return held
    })

    const write = (use: Use) =>
      sql`
        INSERT INTO usage (tenant, day, owner, agent, model, calls, unpriced, input_tokens, output_tokens,
          cache_read_tokens, cache_write_tokens, cost)
        VALUES (${use.tenant}, ${use.day}, ${use.user}, ${use.agent}, ${use.model}, 1, ${
        use.cost === undefined ? 1 : 0
      },
          ${use.inputTokens}, ${use.outputTokens}, ${use.cacheReadTokens}, ${use.cacheWriteTokens}, ${use.cost ?? 0})
        ON CONFLICT (tenant, day, owner, agent, model) DO UPDATE SET
          calls = calls + 1, unpriced = unpriced + excluded.unpriced,
          input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens,
          cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
          cache_write_tokens = cache_write_tokens + excluded.cache_write_tokens, cost = cost + excluded.cost`

    return BudgetStore.of({
      ...reads,

      reserve: (request) =>
        Effect.gen(function*() {
          const keys = request.bounds.map(({ key }) => key)
          const counters = new Map((yield* reads.counters(keys)).map((one) => [one.key, one.settled + one.reserved]))
          const answer = decide(request, (key) => counters.get(key) ?? 0)
          if (answer._tag === "Refused") return answer
          for (const key of keys) yield* add(key, 0, answer.amount)
          const expiresAt = (yield* Clock.currentTimeMillis) + Duration.toMillis(request.lease)
          yield* sql`
            INSERT INTO reservations (id, keys, amount, expires_at)
            VALUES (${request.id}, ${JSON.stringify(keys)}, ${answer.amount}, ${expiresAt})`
          return answer
        }).pipe(sql.withTransaction, unavailable("reserve")),

      renew: (ids, lease) =>
        Effect.gen(function*() {
          const expiresAt = (yield* Clock.currentTimeMillis) + Duration.toMillis(lease)
          yield* sql`
            UPDATE reservations SET expires_at = ${expiresAt}
            WHERE id IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`
        }).pipe(unavailable("renew reservations")),

      settle: ({ again, id, keys, use }) =>
        Effect.gen(function*() {
          const held = yield* free(id)
          if (held === undefined && again) return
          for (const key of held?.keys ?? keys) yield* add(key, use.cost ?? 0, 0)
          yield* write(use)
        }).pipe(sql.withTransaction, unavailable("settle")),

      release: (id) => free(id).pipe(Effect.asVoid, sql.withTransaction, unavailable("release")),

      expire: Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const over = yield* decodeIds(yield* sql`SELECT id FROM reservations WHERE expires_at <= ${now}`)
        for (const { id } of over) yield* free(id)
        return over.length
      }).pipe(sql.withTransaction, unavailable("expire reservations"))
    })
  }
)

/**
 * Creates the tables when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<BudgetStore, MigrationError | SqlError, SqlClient.SqlClient> = Layer.effect(
  BudgetStore,
  make
).pipe(Layer.provide(migrations.layer))

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: SqliteClient.Options
): Layer.Layer<BudgetStore, MigrationError | SqlError | SqliteClient.SqliteLocked> =>
  Layer.provide(layerNoClient, SqliteClient.layer(options))

const decodeIds = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ id: Schema.String })))

const decodeHeld = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({
  id: Schema.String,
  keys: Schema.fromJsonString(Schema.Array(Schema.String)),
  amount: Schema.Int
})))
