/**
 * Notes that the nodes of an app share, in a PostgreSQL database.
 *
 * @since 0.1.0
 */
import { SharedNotes } from "@fastagentic/core/store/SharedNotes"
import { Effect, Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { makeSharedNotes } from "../sql/sharedNotes.ts"
import { answered } from "./internal/withTimeout.ts"
import * as migrations from "./migrations.ts"

/**
 * Creates the tables when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<SharedNotes, MigrationError | SqlError, SqlClient> = Layer.effect(
  SharedNotes,
  Effect.map(SqlClient, (sql) =>
    makeSharedNotes(sql, answered, {
      // The lock on the counter makes notes visible in the order of their numbers.
      insert: (key, value, expiresAt) =>
        sql`WITH next AS (UPDATE shared_note_numbers SET seq = seq + 1 RETURNING seq)
          INSERT INTO shared_notes (key, seq, value, expires_at)
          SELECT ${key}, seq, ${value}, ${expiresAt}::bigint FROM next
          ON CONFLICT (key) DO UPDATE
          SET seq = excluded.seq, value = excluded.value, expires_at = excluded.expires_at`,
      last: sql`SELECT seq FROM shared_note_numbers`
    }))
).pipe(Layer.provide(migrations.layer))
