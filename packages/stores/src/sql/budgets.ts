// The reading half of a budget store for both SQL databases; each writes with its own statements.
import type { BudgetStore, Counter, Query, Row } from "@fastagentic/core/budget/BudgetStore"
import { Effect, Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import type { Unavailable } from "./unavailable.ts"

const Count = Schema.Union([Schema.Int, Schema.BigInt])
const optional = Schema.optionalKey(Schema.String)

const decodeCounters = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ key: Schema.String, settled: Count, reserved: Count }))
)

const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({
  day: optional,
  user: optional,
  agent: optional,
  model: optional,
  calls: Count,
  unpriced: Count,
  inputTokens: Count,
  outputTokens: Count,
  cacheReadTokens: Count,
  cacheWriteTokens: Count,
  cost: Count
})))

/** The columns of the dimensions of usage; `user` is reserved in SQL, so its column is `owner`. */
const columns = { day: "day", user: "owner", agent: "agent", model: "model" }

const sums = `
  CAST(SUM(calls) AS bigint) AS calls, CAST(SUM(unpriced) AS bigint) AS unpriced,
  CAST(SUM(input_tokens) AS bigint) AS "inputTokens", CAST(SUM(output_tokens) AS bigint) AS "outputTokens",
  CAST(SUM(cache_read_tokens) AS bigint) AS "cacheReadTokens",
  CAST(SUM(cache_write_tokens) AS bigint) AS "cacheWriteTokens", CAST(SUM(cost) AS bigint) AS cost`

/** The queries of a budget store, in SQL that SQLite and PostgreSQL share. */
export const makeBudgetReads = (
  sql: SqlClient,
  unavailable: Unavailable
): Pick<BudgetStore["Service"], "counters" | "usage"> => ({
  counters: (keys) =>
    keys.length === 0 ? Effect.succeed([]) : sql`
      SELECT key, settled, reserved FROM budgets WHERE ${sql.in("key", keys)} ORDER BY key`.pipe(
      Effect.flatMap(decodeCounters),
      Effect.map((rows) => rows.map(toCounter)),
      unavailable("read budgets")
    ),

  usage: (query) => {
    const names = query.by.map((dimension) => columns[dimension])
    const shown = query.by.map((dimension) => `${columns[dimension]} AS "${dimension}", `).join("")
    const grouped = names.length === 0 ? sql.literal("HAVING COUNT(*) > 0") : sql.literal(
      `GROUP BY ${names.join(", ")} ORDER BY ${names.join(", ")}`
    )
    return sql`SELECT ${sql.literal(shown + sums)} FROM usage WHERE ${sql.and(filtersOf(sql, query))} ${grouped}`.pipe(
      Effect.flatMap(decodeRows),
      Effect.map((rows) => rows.map(toRow)),
      unavailable("read usage")
    )
  }
})

const filtersOf = (sql: SqlClient, { agent, from, model, tenant, to, user }: Query) => {
  const filters: Array<Fragment> = [sql`tenant = ${tenant}`, sql`day >= ${from}`, sql`day <= ${to}`]
  if (user !== undefined) filters.push(sql`owner = ${user}`)
  if (agent !== undefined) filters.push(sql`agent = ${agent}`)
  if (model !== undefined) filters.push(sql`model = ${model}`)
  return filters
}

type Raw<A> = { readonly [K in keyof A]: A[K] extends number ? number | bigint : A[K] }

const toCounter = ({ key, reserved, settled }: Raw<Counter>): Counter => ({
  key,
  settled: Number(settled),
  reserved: Number(reserved)
})

const toRow = (
  { cacheReadTokens, cacheWriteTokens, calls, cost, inputTokens, outputTokens, unpriced, ...names }: Raw<Row>
): Row => ({
  ...names,
  calls: Number(calls),
  unpriced: Number(unpriced),
  inputTokens: Number(inputTokens),
  outputTokens: Number(outputTokens),
  cacheReadTokens: Number(cacheReadTokens),
  cacheWriteTokens: Number(cacheWriteTokens),
  cost: Number(cost)
})
