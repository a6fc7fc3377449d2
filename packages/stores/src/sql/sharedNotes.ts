// Shared notes in SQL; SQLite and PostgreSQL differ in how a note gets its number, which only grows.
import { Note, type SharedNotes } from "@fastagentic/core/store/SharedNotes"
import { Clock, Effect, Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Unavailable } from "./unavailable.ts"

/** How often expired notes are removed. */
const sweepMillis = 60_000

export const makeSharedNotes = (
  sql: SqlClient,
  unavailable: Unavailable,
  { insert, last }: {
    readonly insert: (key: string, value: string, expiresAt: number) => Effect.Effect<unknown, SqlError>
    /** The highest number that was ever given. */
    readonly last: Effect.Effect<ReadonlyArray<unknown>, SqlError>
  }
): SharedNotes["Service"] => {
  let swept = 0
  const sweep = (now: number) =>
    Effect.suspend(() => {
      if (now - swept < sweepMillis) return Effect.void
      swept = now
      return Effect.asVoid(sql`DELETE FROM shared_notes WHERE expires_at <= ${now}`)
    })
  return {
    put: ({ expiresAt, key, value }) =>
      Effect.flatMap(Clock.currentTimeMillis, sweep).pipe(
        Effect.andThen(insert(key, JSON.stringify(value), expiresAt)),
        Effect.asVoid,
        unavailable("write note")
      ),
    get: (key) =>
      Effect.flatMap(
        Clock.currentTimeMillis,
        (now) => sql`SELECT ${sql.literal(columns)} FROM shared_notes WHERE key = ${key} AND expires_at > ${now}`
      ).pipe(
        Effect.flatMap(decodeRows),
        Effect.map(([row]) => row && noteOf(row)),
        unavailable("read note")
      ),
    since: (cursor) =>
      cursor === undefined
        ? last.pipe(
          Effect.flatMap(decodeSeqs),
          Effect.map(([row]) => ({ notes: [], cursor: `${row?.seq ?? 0}` })),
          unavailable("read notes")
        )
        : Effect.flatMap(
          Clock.currentTimeMillis,
          (now) =>
            sql`SELECT ${sql.literal(columns)} FROM shared_notes
              WHERE seq > ${Number(cursor)} AND expires_at > ${now} ORDER BY seq`
        ).pipe(
          Effect.flatMap(decodeRows),
          Effect.map((rows) => ({ notes: rows.map(noteOf), cursor: `${rows.at(-1)?.seq ?? cursor}` })),
          unavailable("read notes")
        )
  }
}

const columns = "seq, key, value, expires_at"
const Int = Schema.Union([Schema.Int, Schema.BigInt])
const decodeSeqs = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ seq: Int })))
const Row = Schema.Struct({
  seq: Int,
  key: Note.fields.key,
  value: Schema.fromJsonString(Note.fields.value),
  expires_at: Int
})
const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))

const noteOf = ({ expires_at, key, value }: typeof Row.Type): Note => ({ key, value, expiresAt: Number(expires_at) })
