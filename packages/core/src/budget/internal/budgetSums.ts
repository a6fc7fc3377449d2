// Arithmetic of budget reservations and usage rows, shared by all budget stores. It is pure.
import type { Answer, Dimension, Request, Row, Use } from "../BudgetStore.ts"

/**
 * The answer to a request, given what is settled and reserved in each of its bounds.
 *
 * @category combinators
 * @since 0.1.0
 */
export const decide = ({ bounds, least, most }: Request, used: (key: string) => number): Answer => {
  let amount = most
  let key = bounds[0]?.key ?? ""
  for (const bound of bounds) {
    const left = bound.hard - used(bound.key)
    if (bound.soft !== undefined && used(bound.key) >= bound.soft) {
      return { _tag: "Refused", key: bound.key, at: "soft", left }
    }
    if (left < least) return { _tag: "Refused", key: bound.key, at: "hard", left }
    if (left < amount) {
      amount = left
      key = bound.key
    }
  }
  return { _tag: "Granted", amount, key }
}

/** Sums uses into the rows that a query asks for. @category combinators @since 0.1.0 */
export const summarize = (rows: Iterable<Row>, by: ReadonlyArray<Dimension>): ReadonlyArray<Row> => {
  const sums = new Map<string, Row>()
  for (const row of rows) {
    const names = Object.fromEntries(by.map((dimension) => [dimension, row[dimension] ?? ""]))
    const key = JSON.stringify(Object.values(names))
    const sum = sums.get(key)
    sums.set(key, {
      ...names,
      calls: row.calls + (sum?.calls ?? 0),
      unpriced: row.unpriced + (sum?.unpriced ?? 0),
      inputTokens: row.inputTokens + (sum?.inputTokens ?? 0),
      outputTokens: row.outputTokens + (sum?.outputTokens ?? 0),
      cacheReadTokens: row.cacheReadTokens + (sum?.cacheReadTokens ?? 0),
      cacheWriteTokens: row.cacheWriteTokens + (sum?.cacheWriteTokens ?? 0),
      cost: row.cost + (sum?.cost ?? 0)
    })
  }
  return [...sums].sort(([a], [b]) => a < b ? -1 : 1).map(([, row]) => row)
}

/** A use as a row of its own. */
export const rowOf = ({ cost, tenant: _tenant, ...use }: Use): Row => ({
  ...use,
  calls: 1,
  unpriced: cost === undefined ? 1 : 0,
  cost: cost ?? 0
})
