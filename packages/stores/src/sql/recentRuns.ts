// Lists of runs by their last change; `runReads.ts` calls it. Runs that have ended come from an index for each end, which is
// written once in the life of a run. Those that have not are few and are sorted: an index by their last change would be written
// with each of their commits.
import { finalStates, type Phase, waitingReasons } from "@fastagentic/core/run/RunRecord"
import { mostCounted, type RecentQuery } from "@fastagentic/core/store/RunStore"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import { isListed, isUnlisted, type Unlisted } from "./unlisted.ts"

/** Runs that share an index, or need none. */
interface Part {
  readonly from: Fragment
  readonly changedAt: Fragment
  readonly conditions: ReadonlyArray<Fragment>
  /** An order that only the right index has: a planner without statistics would take another one. */
  readonly ordered: Fragment
}

interface Indexes {
  /** Makes a column that the planner finds no index for. */
  readonly unindexed: (column: string) => string
  readonly unlisted: Unlisted | undefined
}

/** The statements of a page and of its count. */
export const recentStatements = (sql: SqlClient, query: RecentQuery, indexes: Indexes) => {
  const { before, limit } = query
  const name = (part: string, index: number) => sql.literal(`${part}_${index}`)
  const parts = partsOf(sql, query, indexes)
  const pages = parts.map(({ changedAt, conditions, from, ordered }, index) => {
    const after = before === undefined
      ? conditions
      : [...conditions, sql`(${changedAt}, run_id) < (${before.changedAt}, ${before.runId})`]
    return sql`SELECT * FROM (
      SELECT run_id AS "runId", ${changedAt} AS "changedAt"
      FROM (SELECT run_id, finished_at, updated_at FROM ${from} WHERE ${sql.and(after)} ${ordered}) AS ${
      name("found", index)
    }
      ORDER BY ${changedAt} DESC, run_id DESC LIMIT ${limit}) AS ${name("page", index)}`
  })
  const counts = parts.map(({ conditions, from, ordered }, index) =>
    sql`(SELECT COUNT(*) FROM (
      SELECT 1 FROM ${from} WHERE ${sql.and(conditions)} ${ordered} LIMIT ${mostCounted}) AS ${name("counted", index)})`
  )
  return {
    page: sql`${joined(sql, pages, "UNION ALL")} ORDER BY "changedAt" DESC, "runId" DESC LIMIT ${limit}`,
    count: sql`SELECT ${joined(sql, counts, "+")} AS total`
  }
}

const joined = (sql: SqlClient, [first = sql``, ...rest]: ReadonlyArray<Fragment>, by: "UNION ALL" | "+") =>
  rest.reduce((all, one) => sql`${all} ${sql.literal(by)} ${one}`, first)

const partsOf = (
  sql: SqlClient,
  { agent, kind, owner, phase, since, tenant, threadId }: RecentQuery,
  { unindexed, unlisted }: Indexes
): ReadonlyArray<Part> => {
  const equal = (column: string, value: string) => sql`${sql.literal(column)} = ${value}`
  const unless = (column: string, value: string | undefined) =>
    value === undefined ? [] : [equal(unindexed(column), value)]
  const part = (
    changedAt: Fragment,
    conditions: ReadonlyArray<Fragment>,
    ordered = sql``,
    from: Fragment = sql`runs`
  ): Part => ({
    from,
    changedAt,
    ordered,
    conditions: [
      sql`tenant = ${tenant}`,
      ...conditions,
      ...unless("agent", agent),
      ...(since === undefined ? [] : [sql`${changedAt} >= ${since}`])
    ]
  })
  const anyTime = sql`COALESCE(finished_at, updated_at)`
  const inAnyPhase = phase === undefined ? [] : [inPhase(sql, phase)]
  // A thread has few runs.
  if (threadId !== undefined) {
    const conditions = [equal("thread_id", threadId), ...unless("owner", owner), ...unless("kind", kind), ...inAnyPhase]
    return [part(anyTime, conditions)]
  }
  const owned = owner === undefined ? [] : [sql`owner = ${owner}`]
  const ends = phase === undefined ? finalStates : finalStates.filter((state) => state === phase)
  const ended = (kind === undefined ? ["agent", "tool"] : [kind]).flatMap((kind) =>
    ends.map((state) =>
      part(sql`finished_at`, [
        ...owned,
        sql`kind = ${kind}`,
        sql`state = ${state}`,
        sql`finished_at IS NOT NULL`,
        isListed(sql, unlisted)
      ])
    )
  )
  const others = unlisted === undefined ? [] : [
    part(
      anyTime,
      [isUnlisted(sql), ...unless("owner", owner), ...unless("kind", kind), ...inAnyPhase],
      sql`ORDER BY run_id DESC`,
      unlisted.runs
    )
  ]
  if (phase !== undefined && ends.length > 0) return [...ended, ...others]
  const open = (["queued", "running", "suspended"] as const).map((state) =>
    part(
      anyTime,
      [...owned, sql`state = ${state}`, isListed(sql, unlisted), ...unless("kind", kind), ...inAnyPhase],
      sql`ORDER BY run_id DESC`
    )
  )
  return [...ended, ...open, ...others]
}

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
