import { Effect } from "effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** One migration, statement by statement: not every database takes more than one at a time. */
export const script = (text: string): Effect.Effect<void, SqlError, SqlClient.SqlClient> =>
  SqlClient.SqlClient.use((sql) =>
    Effect.forEach(
      text.split(";").filter((statement) => statement.trim() !== ""),
      (statement) => sql.unsafe(statement).unprepared,
      { discard: true }
    )
  )

/**
 * Runs what has not run before, in order. A database that has more, or something else under the same number, belongs
 * to another version: nothing is changed there.
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
