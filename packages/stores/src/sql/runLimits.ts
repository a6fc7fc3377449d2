// Concurrency limits of one run, checked inside the transaction that starts it.
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import type { Limits } from "@fastagentic/core/store/RunStore"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Row } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import { isBefore } from "./concurrencySql.ts"
import { selectRecords } from "./runReads.ts"

/** Whether a run may start. The caller must keep other runs from starting until its own start is committed. */
export const fitsLimits = (sql: SqlClient, runId: string, limits: Limits): Effect.Effect<boolean, SqlError> => {
  const { agent = Infinity, tenant = Infinity, thread = false } = limits
  const running = sql`SELECT COUNT(*) FROM runs AS other WHERE other.state = 'running' AND other.kind = run.kind
    AND other.agent = run.agent AND other.run_id <> run.run_id`
  const conditions: Array<Fragment> = [sql`run.run_id = ${runId}`]
  if (agent < Infinity) conditions.push(sql`(${running}) < ${agent}`)
  if (tenant < Infinity) conditions.push(sql`(${running} AND other.tenant = run.tenant) < ${tenant}`)
  if (thread) conditions.push(sql`NOT EXISTS (${isBefore(sql)})`)
  return Effect.map(sql`SELECT 1 FROM runs AS run WHERE ${sql.and(conditions)}`, (rows) => rows.length > 0)
}

/** The oldest other run of the thread that has not ended. */
export const selectBusy = (sql: SqlClient, run: RunRecord): Effect.Effect<Row | undefined, SqlError> =>
  run.threadId === undefined ? Effect.undefined : Effect.map(
    sql<Row>`${selectRecords(sql)} WHERE run_id = (
      SELECT run_id FROM runs WHERE tenant = ${run.tenant} AND owner = ${run.owner} AND thread_id = ${run.threadId}
        AND state IN ('queued', 'running', 'suspended') AND run_id <> ${run.runId} ORDER BY run_id LIMIT 1
    )`,
    ([row]) => row
  )
