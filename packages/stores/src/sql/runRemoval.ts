// `RunStore.remove` for both SQL databases: a run and everything that belongs to it, in one transaction.
import { isFinal, type RunState } from "@fastagentic/core/run/RunRecord"
import type { RemoveQuery, RunStore } from "@fastagentic/core/store/RunStore"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import { page } from "./listStatement.ts"
import { makeList, recordOf, rows, selectRecords } from "./runReads.ts"
import { unavailable } from "./unavailable.ts"
import { endedPlaces, isListed, type Unlisted } from "./unlisted.ts"

/**
 * Removes ended runs. `lock` keeps other nodes from removing the same runs, `among` makes a condition on `run_id` from
 * ids as JSON.
 */
export const makeRemove = (
  sql: SqlClient,
  { among, lock = sql``, unlisted }: {
    readonly among: (ids: string) => Fragment
    readonly lock?: Fragment
    readonly unlisted?: Unlisted
  }
): RunStore["Service"]["remove"] => {
  const list = makeList(recordOf)
  const withoutParent = sql`NOT EXISTS (SELECT 1 FROM runs AS parents WHERE parents.run_id = runs.parent_run_id)`

  /** One query per state, so that runs of a state that is kept longer are not scanned. */
  const find = Effect.fnUntraced(function*(query: RemoveQuery, places: ReadonlyArray<Fragment>, lock: Fragment) {
    const states = [...new Set(query.states)].filter(isFinal)
    const asked = states.flatMap((state) => places.map((place) => findIn(state, query, place, lock)))
    const found = yield* Effect.all(asked)
    return found.flat()
      .sort((a, b) => (a.finishedAt ?? 0) - (b.finishedAt ?? 0) || (a.runId < b.runId ? -1 : 1))
      .slice(0, query.limit)
  })

  const findIn = (state: RunState, query: RemoveQuery, condition: Fragment, lock: Fragment) => {
    const { exceptTenants = [], finishedBefore, limit, runIds, tenant } = query
    const filters: Array<Fragment> = [condition, sql`state = ${state}`, sql`finished_at < ${finishedBefore}`]
    filters.push(runIds === undefined ? withoutParent : among(JSON.stringify(runIds)))
    if (exceptTenants.length > 0) filters.push(sql`NOT ${sql.in("tenant", exceptTenants)}`)
    if (tenant !== undefined) filters.push(sql`tenant = ${tenant}`)
    const ended = sql`${selectRecords(sql)} WHERE ${sql.and(filters)} ORDER BY finished_at, run_id`
    return list(
      limit,
      (limit, offset) => sql`${ended} ${page(sql, limit, offset)} ${lock}`.pipe(rows("ended runs"))
    )
  }

  const remove = Effect.fnUntraced(function*(query: RemoveQuery) {
    if (unlisted !== undefined) yield* unlisted.listEnded
    const found = yield* find(query, [isListed(sql, unlisted)], lock)
    if (found.length === 0) return found
    const ids = JSON.stringify(found.map((run) => run.runId))
    yield* sql`
      DELETE FROM idempotency_keys WHERE ${among(ids)} AND (tenant, owner, kind, agent, key) IN (
        SELECT tenant, owner, kind, agent, idempotency_key FROM runs WHERE ${among(ids)}
      )`
    for (const table of ["run_events", "run_steps", "interrupts", "run_values", "runs"]) {
      yield* sql`DELETE FROM ${sql(table)} WHERE ${among(ids)}`
    }
    return found
  })

  return ({ dryRun, ...query }) =>
    (dryRun === true ? find(query, endedPlaces(sql, unlisted), sql``) : sql.withTransaction(remove(query))).pipe(
      unavailable("remove runs")
    )
}
