// Gives free pages of a database back to the file system; SqliteClient.layer offers it as part of SqliteFile.
// Every step is a transaction of its own and moves few pages, so that other statements wait for milliseconds only.
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** Pages of one step, a megabyte. */
const step = 256

export const makeShrink = (sql: SqlClient) => {
  const free = Effect.map(sql`PRAGMA freelist_count`, ([row]) => Number(row?.["freelist_count"] ?? 0))

  return Effect.fn("SqliteFile.shrink")(function*(
    { keep, most }: { readonly keep: number; readonly most: number }
  ): Effect.fn.Return<number, SqlError> {
    const before = yield* free
    let left = before
    while (left > keep && before - left < most) {
      yield* sql.unsafe(`PRAGMA incremental_vacuum(${Math.min(step, left - keep)})`)
      const next = yield* free
      // A file of an older version does not move its pages.
      if (next >= left) break
      left = next
      yield* Effect.sleep("5 millis")
    }
    // The file becomes shorter when the log is written into it.
    if (left < before) yield* sql`PRAGMA wal_checkpoint(TRUNCATE)`
    return Math.max(before - left, 0)
  })
}
