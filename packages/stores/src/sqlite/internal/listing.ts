// Adds new runs to the indexes of lists, many at once; `SqliteRunStore` makes it. Until then a run is in `runs_unlisted`, which
// lists read too: a process that is killed leaves its runs there, and they are listed all the same.
import { Clock, Effect, type Scope } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Unlisted } from "../../sql/unlisted.ts"
import type { SqliteWriter } from "../SqliteWriter.ts"

/** How long new runs are collected: each list reads all of them. */
const collectMillis = 1_000

/** A run is listed when it ends or waits, because a list's index of a running run would be written again then. */
const runningMillis = 30_000

/** How many runs are listed in one transaction: every other write waits for it. */
const most = 250

export interface Listing extends Unlisted {
  /** Says that a run was admitted. */
  readonly admitted: () => void
}

export const makeListing = (
  sql: SqlClient,
  writer: SqliteWriter["Service"]
): Effect.Effect<Listing, never, Scope.Scope> =>
  Effect.gen(function*() {
    // Runs that an earlier process left behind.
    let work = true
    let wake: (() => void) | undefined

    const admitted = () => {
      work = true
      wake?.()
    }

    const awaitWork = Effect.callback<void>((resume) => {
      if (work) return resume(Effect.void)
      wake = () => {
        wake = undefined
        resume(Effect.void)
      }
    })

    // Only a round that lists something is a transaction: runs that run for less than half a minute are only read.
    const listSome: Effect.Effect<void, unknown> = Effect.gen(function*() {
      const before = (yield* Clock.currentTimeMillis) - runningMillis
      const [ready] = yield* sql`
        SELECT 1 FROM runs INDEXED BY runs_unlisted
        WHERE listed = 0 AND (state <> 'running' OR created_at < ${before}) LIMIT 1`
      if (ready !== undefined) {
        const listed = yield* writer.write((connection) => connection.executeValues(list, [before, most]))
        if (listed.length === most) return yield* listSome
      }
      if ((yield* sql`SELECT 1 FROM runs INDEXED BY runs_unlisted WHERE listed = 0 LIMIT 1`).length > 0) work = true
    })

    // A store that cannot be written says so to its writers; the next round tries again.
    const again = Effect.sync(() => {
      work = true
    })
    const round = Effect.suspend(() => {
      work = false
      return Effect.catchCause(listSome, () => again)
    })

    yield* Effect.forkScoped(
      Effect.forever(Effect.andThen(awaitWork, Effect.andThen(Effect.sleep(collectMillis), round)))
    )
    return {
      admitted,
      runs: sql`runs INDEXED BY runs_unlisted`,
      listEnded: sql`
        UPDATE runs SET listed = 1 WHERE run_id IN (
          SELECT run_id FROM runs INDEXED BY runs_unlisted WHERE listed = 0 AND finished_at IS NOT NULL LIMIT ${most}
        )`
    }
  })

// texts

const list = `
  UPDATE runs SET listed = 1 WHERE run_id IN (
    SELECT run_id FROM runs INDEXED BY runs_unlisted
    WHERE listed = 0 AND (state <> 'running' OR created_at < ?) LIMIT ?
  ) RETURNING 1`
