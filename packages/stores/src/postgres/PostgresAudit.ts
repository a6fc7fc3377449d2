/**
 * The audit trail in a PostgreSQL database.
 *
 * @since 0.1.0
 */
import { Audit, type Entry } from "@fastagentic/core/Audit"
import { Effect, Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { makeAudit } from "../sql/audit.ts"
import { type Columns, Params } from "./internal/params.ts"
import * as migrations from "./migrations.ts"

/**
 * An audit trail on whatever `SqlClient` is there; the table has to exist.
 *
 * **Gotchas**
 *
 * An entry that cannot be written is a defect: what cannot be audited does not go on. The character U+0000, which
 * PostgreSQL has no room for, is written as U+FFFD.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Audit["Service"], never, SqlClient> = Effect.map(
  SqlClient,
  (sql) =>
    makeAudit(sql, (entries) => {
      const params = new Params()
      const text = `
      WITH ${params.table("entry", columns, entries.map(rowOf))}
      INSERT INTO audit (at, tenant, principal, action, target, decision, run_id, trace_id) SELECT * FROM entry`
      return sql.unsafe(text, params.values)
    })
)

/**
 * Creates the table when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<Audit, MigrationError | SqlError, SqlClient> = Layer.effect(Audit, make).pipe(
  Layer.provide(migrations.layer)
)

const columns: Columns = {
  at: "float8",
  tenant: "text",
  principal: "text",
  action: "text",
  target: "text",
  decision: "text",
  run_id: "text",
  trace_id: "text"
}

const rowOf = (entry: Entry) => [
  entry.at,
  ...[entry.tenant, entry.principal, entry.action, entry.target, entry.decision, entry.runId, entry.traceId].map(
    (value) => value?.replaceAll("\0", "\uFFFD")
  )
]
