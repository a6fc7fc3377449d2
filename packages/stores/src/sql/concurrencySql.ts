import type { Limits } from "@fastagentic/core/store/RunStore"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"

/** Runs of the thread of `run` that have their turn before it. */
export const isBefore = (sql: SqlClient) =>
  sql`SELECT 1 FROM runs AS other WHERE other.tenant = run.tenant AND other.owner = run.owner
    AND other.thread_id = run.thread_id AND other.run_id <> run.run_id
    AND other.state IN ('queued', 'running', 'suspended') AND (other.state <> 'queued' OR other.run_id < run.run_id)`

/** That there is room for `run`, which is not running; what is full is counted once, however many wait for it. */
export const withRoom = (sql: SqlClient, agents: ReadonlyArray<string>, limits: Limits): Fragment => {
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
