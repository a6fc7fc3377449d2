// The statement of a list of runs, newest first; `runReads.ts` uses it for records and for summaries.
import type { SummaryQuery } from "@fastagentic/core/store/RunStore"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Row } from "effect/sql/SqlConnection"
import type { Fragment, Statement } from "effect/sql/Statement"
import { conditionsOf, isOfFew } from "./listFilters.ts"
import { isListed, isUnlisted, type Unlisted } from "./unlisted.ts"

interface Query extends SummaryQuery {
  /** Selects the columns. */
  readonly select: Fragment
  readonly offset: number
}

/** `unindexed` makes a column that the planner finds no index for. */
export const listStatement = (
  sql: SqlClient,
  { before, limit, offset, owner, runIds, select, tenant, ...filter }: Query,
  { unindexed, unlisted }: {
    readonly unindexed: (column: string) => string
    readonly unlisted: Unlisted | undefined
  }
): Statement<Row> => {
  const filters: Array<Fragment> = [sql`tenant = ${tenant}`, ...conditionsOf(sql, filter, unindexed)]
  if (owner !== undefined) filters.push(sql`owner = ${owner}`)
  if (before !== undefined) filters.push(sql`run_id < ${before}`)
  if (runIds !== undefined) filters.push(sql.in("run_id", runIds))
  if (unlisted === undefined || runIds !== undefined || isOfFew(filter)) {
    return sql<Row>`${select} WHERE ${sql.and(filters)} ORDER BY run_id DESC ${page(sql, limit, offset)}`
  }
  const newest = (from: Fragment, condition: Fragment) =>
    sql`SELECT run_id FROM (
      SELECT run_id FROM ${from} WHERE ${sql.and([condition, ...filters])} ORDER BY run_id DESC LIMIT ${
      limit + offset
    })`
  return sql<Row>`${select} WHERE run_id IN (
    ${newest(sql`runs`, isListed(sql, unlisted))} UNION ALL ${newest(unlisted.runs, isUnlisted(sql))}
  ) ORDER BY run_id DESC ${page(sql, limit, offset)}`
}

/** The page that `makeList` asks for. Most lists have one page; a possible offset would make a worse plan. */
export const page = (sql: SqlClient, limit: number, offset: number): Fragment =>
  offset === 0 ? sql`LIMIT ${limit}` : sql`LIMIT ${limit} OFFSET ${offset}`
