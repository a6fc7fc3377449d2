// Due runs by turns of their tenants, for `runReads.ts`. The index of waiting runs begins with agent and tenant, so that a
// query jumps from tenant to tenant, and of each reads no runs that are not due and returns only the first.
import type { DueQuery } from "@fastagentic/core/store/RunStore"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import { hasFreeSlot } from "./concurrencySql.ts"

type Due = Pick<DueQuery, "agents" | "now">

const waiting = "wake_at IS NOT NULL AND state IN ('queued', 'suspended')"

/** The tenants of each agent that have runs which wait for a time. */
const tenants = (sql: SqlClient, agents: ReadonlyArray<string>): Fragment =>
  sql`asked (agent) AS (VALUES ${sql.csv(agents.map((agent) => sql`(${agent})`))}),
    tenants (agent, tenant) AS (
      SELECT agent, (SELECT MIN(tenant) FROM runs WHERE runs.agent = asked.agent AND ${sql.literal(waiting)})
      FROM asked
      UNION ALL
      SELECT agent, (
        SELECT MIN(tenant) FROM runs
        WHERE runs.agent = tenants.agent AND runs.tenant > tenants.tenant AND ${sql.literal(waiting)}
      )
      FROM tenants WHERE tenant IS NOT NULL
    )`

const isDue = (sql: SqlClient, now: number): Fragment =>
  sql`run.agent = tenants.agent AND run.tenant = tenants.tenant AND run.wake_at <= ${now}
    AND run.state IN ('queued', 'suspended')`

/** A page of the ids of due runs with their turns, in order; `lateral` is for a database that has such joins. */
export const dueTurns = (
  sql: SqlClient,
  { agents, lateral, limit, now, offset, within = {} }: DueQuery & {
    readonly offset: number
    readonly lateral: boolean
  }
): Fragment => {
  const firstOf = (columns: string) =>
    sql`SELECT ${sql.literal(columns)} FROM runs AS run
      WHERE ${isDue(sql, now)} AND ${hasFreeSlot(sql, agents, within)}
      ORDER BY run.priority DESC, run.run_id LIMIT ${offset + limit}`
  const entries = lateral
    ? sql`CROSS JOIN LATERAL (${firstOf("run.run_id, run.tenant, run.priority")}) AS entry`
    : sql`CROSS JOIN runs AS entry ON entry.run_id IN (${firstOf("run.run_id")})`
  return sql`
    WITH RECURSIVE ${tenants(sql, agents)}
    SELECT entry.run_id,
      ROW_NUMBER() OVER (PARTITION BY entry.tenant ORDER BY entry.priority DESC, entry.run_id) AS turn
    FROM tenants ${entries} ORDER BY turn, entry.run_id LIMIT ${limit} OFFSET ${offset}`
}

/** The number of due runs, with room or without. */
export const countDue = (sql: SqlClient, { agents, now }: Due): Fragment =>
  sql`
    WITH RECURSIVE ${tenants(sql, agents)}
    SELECT COALESCE(SUM((SELECT COUNT(*) FROM runs AS run WHERE ${isDue(sql, now)})), 0) AS due FROM tenants`
