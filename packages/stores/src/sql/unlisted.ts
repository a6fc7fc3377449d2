// Runs that the indexes of lists do not have yet, for a database that adds them to these indexes in batches. Such runs have
// `listed = 0` and an index of their own; lists read it besides the others.
import type { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"

export interface Unlisted {
  /** The table `runs`, read through the index of these runs, which begins with the tenant. */
  readonly runs: Fragment
  /** Adds those that have ended to the indexes, a number of them at once. */
  readonly listEnded: Effect.Effect<unknown, SqlError>
}

/** The condition of the indexes of lists. */
export const isListed = (sql: SqlClient, unlisted: Unlisted | undefined): Fragment =>
  unlisted === undefined ? sql`TRUE` : sql`listed = 1`

export const isUnlisted = (sql: SqlClient): Fragment => sql`listed = 0`

/** The places to look for ended runs without a change: by the indexes of lists, and among those that no index has yet. */
export const endedPlaces = (sql: SqlClient, unlisted: Unlisted | undefined): ReadonlyArray<Fragment> =>
  unlisted === undefined ? [sql`TRUE`] : [
    isListed(sql, unlisted),
    sql`run_id IN (SELECT run_id FROM ${unlisted.runs} WHERE ${isUnlisted(sql)} AND finished_at IS NOT NULL)`
  ]
