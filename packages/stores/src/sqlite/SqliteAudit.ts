/**
 * The audit trail in a SQLite database.
 *
 * @since 0.1.0
 */
import { Audit, type Entry } from "@fastagentic/core/Audit"
import { Effect, Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { makeAudit } from "../sql/audit.ts"
import * as migrations from "./migrations.ts"
import * as SqliteClient from "./SqliteClient.ts"

/**
 * An audit trail on whatever `SqlClient` is there; the table has to exist.
 *
 * **Gotchas**
 *
 * An entry that cannot be written is a defect: what cannot be audited does not go on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Audit["Service"], never, SqlClient.SqlClient> = Effect.map(
  SqlClient.SqlClient,
  (sql) => {
    const insert = (entry: Entry) =>
      sql`
        INSERT INTO audit (at, tenant, principal, action, target, decision, run_id, trace_id)
        VALUES (${entry.at}, ${entry.tenant}, ${entry.principal}, ${entry.action}, ${entry.target}, ${entry.decision},
          ${entry.runId ?? null}, ${entry.traceId})`

    return makeAudit(sql, (entries) =>
      Effect.forEach(entries, insert, { discard: true }).pipe(
        entries.length === 1 ? (one) => one : sql.withTransaction
      ))
  }
)

/**
 * Creates the table when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<Audit, MigrationError | SqlError, SqlClient.SqlClient> = Layer.effect(
  Audit,
  make
).pipe(Layer.provide(migrations.layer))

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: SqliteClient.Options
): Layer.Layer<Audit, MigrationError | SqlError | SqliteClient.SqliteLocked> =>
  Layer.provide(layerNoClient, SqliteClient.layer(options))
