/**
 * The audit trail in a SQLite database.
 *
 * @since 0.1.0
 */
import { Audit, type Entry } from "@fastagentic/core/Audit"
import { Effect, Exit, Layer, Request, RequestResolver, Schema } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as migrations from "./migrations.ts"
import * as SqliteClient from "./SqliteClient.ts"

/** How many entries `recent` goes back. */
const RECENT = 10_000

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
    const insert = ({ entry }: Append) =>
      sql`
        INSERT INTO audit (at, tenant, principal, action, target, decision, run_id, trace_id)
        VALUES (${entry.at}, ${entry.tenant}, ${entry.principal}, ${entry.action}, ${entry.target}, ${entry.decision},
          ${entry.runId ?? null}, ${entry.traceId})`

    // Entries of the same moment share a transaction, and so a flush of the disk.
    const resolver = RequestResolver.make<Append>((entries) =>
      Effect.forEach(entries, ({ request }) => insert(request), { discard: true }).pipe(
        entries.length === 1 ? (one) => one : sql.withTransaction,
        Effect.andThen(Effect.sync(() => {
          for (const entry of entries) entry.completeUnsafe(Exit.void)
        }))
      )
    )

    return Audit.of({
      record: (entry) => Effect.orDie(Effect.request(Append({ entry }), resolver)),
      recent: (tenant) =>
        sql`
          SELECT at, tenant, principal, action, target, decision, run_id AS "runId", trace_id AS "traceId"
          FROM audit WHERE tenant = ${tenant} ORDER BY id DESC LIMIT ${RECENT}`.pipe(
          Effect.flatMap(decodeEntries),
          Effect.map((entries) => entries.map(toEntry).reverse()),
          Effect.orDie
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

interface Append extends Request.Request<void, SqlError> {
  readonly _tag: "Append"
  readonly entry: Entry
}

const Append = Request.tagged<Append>("Append")

const decodeEntries = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({
  at: Schema.Int,
  tenant: Schema.String,
  principal: Schema.String,
  action: Schema.String,
  target: Schema.String,
  decision: Schema.String,
  runId: Schema.NullOr(Schema.String),
  traceId: Schema.String
})))

const toEntry = ({ runId, ...entry }: Omit<Entry, "runId"> & { readonly runId: string | null }): Entry =>
  runId === null ? entry : { ...entry, runId }
