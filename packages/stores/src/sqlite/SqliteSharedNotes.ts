/**
 * Notes that the nodes of an app share, in a SQLite database.
 *
 * @since 0.1.0
 */
import { SharedNotes } from "@fastagentic/core/store/SharedNotes"
import { Effect, Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { makeSharedNotes } from "../sql/sharedNotes.ts"
import { unavailable } from "../sql/unavailable.ts"
import * as migrations from "./migrations.ts"

/**
 * Creates the table when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<SharedNotes, MigrationError | SqlError, SqlClient> = Layer.effect(
  SharedNotes,
  Effect.map(SqlClient, (sql) =>
    makeSharedNotes(sql, unavailable, {
      // A row that is replaced gets the next number.
      insert: (key, value, expiresAt) =>
        sql`INSERT OR REPLACE INTO shared_notes ${sql.insert({ key, value, expires_at: expiresAt })}`,
      last: sql`SELECT seq FROM sqlite_sequence WHERE name = 'shared_notes'`
    }))
).pipe(Layer.provide(migrations.layer))
