// The filters of a list as conditions; `runReads.ts` uses them for records and for summaries.
import { filterFields, type RunFilter } from "@fastagentic/core/run/RunRecord"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import { columns } from "./recordColumns.ts"

/** The filters that leave the fewest runs first; most runs are completed in the end. */
const few = ["parentRunId", "threadId", "waitsFor"] as const
const selective = [...few, "state", "agent", "kind"] as const

/** The filter whose index a list is read from. */
const leading = (filter: RunFilter) =>
  selective.find((field) => filter[field] !== undefined && filter[field] !== "completed") ?? "state"

/** Whether a list is read from an index that has only some runs, from their first commit on. */
export const isOfFew = (filter: RunFilter): boolean => few.some((field) => filter[field] !== undefined)

/** One condition for each filter. All but one go through `unindexed`, so that the planner takes the most selective index. */
export const conditionsOf = (
  sql: SqlClient,
  filter: RunFilter,
  unindexed: (column: string) => string
): ReadonlyArray<Fragment> => {
  const lead = leading(filter)
  return columns.flatMap(({ column, name }) => {
    const field = filterFields.find((field) => field === name)
    const value = field === undefined ? undefined : filter[field]
    return value === undefined ? [] : [sql`${sql.literal(name === lead ? column : unindexed(column))} = ${value}`]
  })
}
