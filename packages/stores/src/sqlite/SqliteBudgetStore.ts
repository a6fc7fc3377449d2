/**
 * Budgets in a SQLite database.
 *
 * @since 0.1.0
 */
import { BudgetStore, decide, type Request, type Settlement, type Use } from "@fastagentic/core/budget/BudgetStore"
import { Clock, Duration, Effect, Layer, Schema } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import { freshLayer } from "../internal/freshLayer.ts"
import { makeBudgetReads } from "../sql/budgets.ts"
import { unavailable } from "../sql/unavailable.ts"
import * as migrations from "./migrations.ts"
import * as SqliteClient from "./SqliteClient.ts"
import * as SqliteWriter from "./SqliteWriter.ts"

/**
 * Budgets on a given `SqlClient`; the tables must exist. Each operation is atomic.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<BudgetStore["Service"], never, SqlClient.SqlClient | SqliteWriter.SqliteWriter> =
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const { write } = yield* SqliteWriter.SqliteWriter

    const reserveIn = Effect.fnUntraced(function*(connection: Connection, request: Request) {
      const used = new Map<string, number>()
      for (const { key } of request.bounds) {
        const [row] = yield* connection.executeValues(selectUsed, [key])
        used.set(key, Number(row?.[0] ?? 0))
      }
      const answer = decide(request, (key) => used.get(key) ?? 0)
      if (answer._tag === "Refused") return answer
      const keys = [...used.keys()]
      for (const key of keys) yield* connection.executeValues(add, [key, 0, answer.amount])
      const expiresAt = (yield* Clock.currentTimeMillis) + Duration.toMillis(request.lease)
      yield* connection.executeValues(insertReservation, [request.id, JSON.stringify(keys), answer.amount, expiresAt])
      return answer
    })

    /** Removes a reservation, settles the used part of it, and answers with its counters. */
    const free = Effect.fnUntraced(function*(connection: Connection, id: string, cost: number) {
      const [row] = yield* connection.executeValues(removeReservation, [id])
      if (row === undefined) return undefined
      const keys = yield* decodeKeys(row[0])
      for (const key of keys) yield* connection.executeValues(add, [key, cost, -Number(row[1])])
      return keys
    })

    const settleIn = Effect.fnUntraced(function*(connection: Connection, { again, id, keys, use }: Settlement) {
      const cost = use.cost ?? 0
      const held = yield* free(connection, id, cost)
      if (held === undefined) {
        if (again) return
        for (const key of keys) yield* connection.executeValues(add, [key, cost, 0])
      }
      yield* connection.executeValues(addUsage, usageParams(use))
    })

    const expireIn = Effect.fnUntraced(function*(connection: Connection) {
      const expired = yield* connection.executeValues(selectExpired, [yield* Clock.currentTimeMillis])
      for (const [id] of expired) yield* free(connection, String(id), 0)
      return expired.length
    })

    return BudgetStore.of({
      ...makeBudgetReads(sql, unavailable),
      reserve: (request) => write((connection) => reserveIn(connection, request)).pipe(unavailable("reserve")),
      renew: (ids, lease) =>
        Effect.gen(function*() {
          const expiresAt = (yield* Clock.currentTimeMillis) + Duration.toMillis(lease)
          yield* sql`
            UPDATE reservations SET expires_at = ${expiresAt}
            WHERE id IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`
        }).pipe(unavailable("renew reservations")),
      settle: (settlement) => write((connection) => settleIn(connection, settlement)).pipe(unavailable("settle")),
      cancelReservation: (id) =>
        write((connection) => free(connection, id, 0)).pipe(Effect.asVoid, unavailable("release")),
      expire: write(expireIn).pipe(unavailable("expire reservations"))
    })
  })

/**
 * Creates the tables when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<BudgetStore, MigrationError | SqlError, SqlClient.SqlClient> = Layer.effect(
  BudgetStore,
  make
).pipe(Layer.provide([migrations.layer, SqliteWriter.layer]))

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: SqliteClient.Options
): Layer.Layer<BudgetStore, MigrationError | SqlError | SqliteClient.SqliteLocked> =>
  freshLayer(Layer.provide(layerNoClient, SqliteClient.layer(options)))

const decodeKeys = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Array(Schema.String)))

const usageParams = (use: Use) => [
  use.tenant,
  use.day,
  use.user,
  use.agent,
  use.model,
  use.cost === undefined ? 1 : 0,
  use.inputTokens,
  use.outputTokens,
  use.cacheReadTokens,
  use.cacheWriteTokens,
  use.cost ?? 0
]

// texts

const selectUsed = "SELECT settled + reserved FROM budgets WHERE key = ?"

const add = `
  INSERT INTO budgets (key, settled, reserved) VALUES (?, ?, ?)
  ON CONFLICT (key) DO UPDATE SET settled = settled + excluded.settled, reserved = reserved + excluded.reserved`

const insertReservation = "INSERT INTO reservations (id, keys, amount, expires_at) VALUES (?, ?, ?, ?)"

const removeReservation = "DELETE FROM reservations WHERE id = ? RETURNING keys, amount"

const selectExpired = "SELECT id FROM reservations WHERE expires_at <= ?"

const addUsage = `
  INSERT INTO usage (tenant, day, owner, agent, model, calls, unpriced, input_tokens, output_tokens, cache_read_tokens,
    cache_write_tokens, cost)
  VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (tenant, day, owner, agent, model) DO UPDATE SET
    calls = calls + 1, unpriced = unpriced + excluded.unpriced,
    input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens,
    cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
    cache_write_tokens = cache_write_tokens + excluded.cache_write_tokens, cost = cost + excluded.cost`
