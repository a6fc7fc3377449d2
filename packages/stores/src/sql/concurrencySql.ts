// Concurrency limits as conditions; `runReads.ts` uses them to find due runs, `runLimits.ts` to start one.
import type { Limits } from "@fastagentic/core/store/RunStore"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"

/** Runs of the thread of `run` that must run before it. A run that another one has started is a part of that one's turn. */
export const isBefore = (sql: SqlClient) =>
  sql`SELECT 1 FROM runs AS other WHERE other.tenant = run.tenant AND other.owner = run.owner
    AND other.thread_id = run.thread_id AND other.run_id <> run.run_id AND run.parent_run_id IS NULL
    AND other.state IN ('queued', 'running', 'suspended') AND (other.state <> 'queued' OR other.run_id < run.run_id)`

/** A condition that a free concurrency slot exists for `run`. Full agents and tenants are counted once per query. */
export const hasFreeSlot = (sql: SqlClient, agents: ReadonlyArray<string>, limits: Limits): Fragment => {
  const { agent = Infinity, tenant = Infinity, thread = false } = limits
  const full = (columns: string, most: number) =>
    sql`(${sql.literal(columns)}) NOT IN (
      SELECT ${sql.literal(columns)} FROM runs WHERE state = 'running' AND ${sql.in("agent", agents)}
      GROUP BY ${sql.literal(columns)} HAVING COUNT(*) >= ${most}
    )`
  const conditions: Array<Fragment> = []
  if (agent < Infinity) conditions.push(full("kind, agent", agent))
  if (tenant < Infinity) conditions.push(full("kind, agent, tenant", tenant))
  if (thread) conditions.push(sql`NOT EXISTS (${isBefore(sql)})`)
  return conditions.length === 0 ? sql`TRUE` : sql`(waits_for = 'interrupt' OR ${sql.and(conditions)})`
}
