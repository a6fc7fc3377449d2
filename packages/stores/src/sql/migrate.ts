// Runs migrations; the `migrations.ts` of both SQL databases call it.
import { Effect } from "effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** One migration, statement by statement, because not every driver accepts more than one at a time. */
export const script = (text: string): Effect.Effect<void, SqlError, SqlClient.SqlClient> =>
  SqlClient.SqlClient.use((sql) =>
    Effect.forEach(
      text.split(";").filter((statement) => statement.trim() !== ""),
      (statement) => sql.unsafe(statement).unprepared,
      { discard: true }
    )
  )

/**
 * Runs the pending migrations in order. A database with other migrations belongs to another version: it is refused and
 * not changed.
 */
export const migrate = (
  migrations: Readonly<Record<string, Effect.Effect<void, SqlError, SqlClient.SqlClient>>>
): Effect.Effect<void, Migrator.MigrationError | SqlError, SqlClient.SqlClient> =>
  SqlClient.SqlClient.use((sql) =>
    Migrator.make({})({ loader: Migrator.fromRecord(migrations), table: "migrations" }).pipe(
      Effect.andThen(check(Object.keys(migrations))),
      sql.withTransaction
    )
  )

const check = Effect.fnUntraced(function*(known: ReadonlyArray<string>) {
  const sql = yield* SqlClient.SqlClient
  const applied = yield* sql<{ id: number; name: string }>`SELECT migration_id AS id, name FROM migrations ORDER BY 1`
  const foreign = applied.map(({ id, name }) => `${String(id).padStart(4, "0")}_${name}`)
    .find((name, index) => name !== known[index])
  if (foreign === undefined) return
  const message = `The database has the migration "${foreign}", which this version does not know`
  return yield* new Migrator.MigrationError({ kind: "BadState", message })
})
