// The conditions of a list of runs by their last change; `runReads.ts` uses them for the page and for its count.
import { type Phase, waitingReasons } from "@fastagentic/core/run/RunRecord"
import type { Recent, RecentQuery } from "@fastagentic/core/store/RunStore"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"

export const changedAt = (sql: SqlClient): Fragment => sql`COALESCE(finished_at, updated_at)`

/** The runs after one in the list. */
export const beforeRun = (sql: SqlClient, { changedAt: at, runId }: Recent): Fragment =>
  sql`(${changedAt(sql)} < ${at} OR (${changedAt(sql)} = ${at} AND run_id < ${runId}))`

export const recentConditions = (
  sql: SqlClient,
  { agent, kind, owner, phase, since, tenant, threadId }: Omit<RecentQuery, "before" | "limit">
): ReadonlyArray<Fragment> => [
  sql`tenant = ${tenant}`,
  ...(owner === undefined ? [] : [sql`owner = ${owner}`]),
  ...(agent === undefined ? [] : [sql`agent = ${agent}`]),
  ...(kind === undefined ? [] : [sql`kind = ${kind}`]),
  ...(threadId === undefined ? [] : [sql`thread_id = ${threadId}`]),
  ...(phase === undefined ? [] : [inPhase(sql, phase)]),
  ...(since === undefined ? [] : [sql`${changedAt(sql)} >= ${since}`])
]

const inPhase = (sql: SqlClient, phase: Phase): Fragment => {
  const asks = sql`state = 'suspended' AND ${sql.in("waits_for", waitingReasons)}`
  switch (phase) {
    case "submitted":
      return sql`state = 'queued' AND attempt = 0`
    case "waiting":
      return asks
    case "working":
      return sql`(state = 'running' OR (state = 'queued' AND attempt > 0) OR
        (state = 'suspended' AND (waits_for IS NULL OR NOT ${sql.in("waits_for", waitingReasons)})))`
    default:
      return sql`state = ${phase}`
  }
}
