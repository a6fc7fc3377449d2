// Runs statements of `node:sqlite` and caches prepared ones; `connection.ts` calls it.
import * as SqlError from "effect/sql/SqlError"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { toSqlError } from "./errors.ts"
import { toInputs } from "./parameters.ts"

interface Prepared {
  readonly statement: StatementSync
  readonly returnsRows: boolean
  bigints: boolean
  arrays: boolean
}

export const all = (prepared: Prepared, params: ReadonlyArray<unknown>, bigints: boolean) =>
  withModes(prepared, bigints, false).all(...toInputs(params))

export const run = (prepared: Prepared, params: ReadonlyArray<unknown>, bigints: boolean) =>
  withModes(prepared, bigints, false).run(...toInputs(params))

// A generator, because the iterator of Node 22 starts again when it is read after its last row.
export const iterate = function*(prepared: Prepared, params: ReadonlyArray<unknown>, bigints: boolean) {
  yield* withModes(prepared, bigints, false).iterate(...toInputs(params))
}

export const values = (prepared: Prepared, params: ReadonlyArray<unknown>, bigints: boolean) => {
  const rows: ReadonlyArray<unknown> = withModes(prepared, bigints, true).all(...toInputs(params))
  return areArrays(rows) ? rows : []
}

/** Runs every statement of the text and answers with the rows of the last. */
export const script = (database: DatabaseSync, sql: string, params: ReadonlyArray<unknown>, bigints: boolean) => {
  if (params.length > 0) return all(prepare(database, sql), params, bigints)
  let rest = sql
  let rows: ReadonlyArray<object>
  do {
    const prepared = prepareFirst(database, rest)
    rows = all(prepared, params, bigints)
    rest = tail(prepared, rest)
  } while (rest !== "")
  return rows
}

export const take = (cursor: Iterator<object>, count: number): ReadonlyArray<object> => {
  const rows: Array<object> = []
  while (rows.length < count) {
    const next = cursor.next()
    if (next.done === true) break
    rows.push(next.value)
  }
  return rows
}

/** Sets a mode only when it changes, because setting it is a native call. */
const withModes = (prepared: Prepared, bigints: boolean, arrays: boolean): StatementSync => {
  if (prepared.bigints !== bigints) {
    prepared.statement.setReadBigInts(bigints)
    prepared.bigints = bigints
  }
  if (prepared.arrays !== arrays) {
    prepared.statement.setReturnArrays(arrays)
    prepared.arrays = arrays
  }
  return prepared.statement
}

// Rows are all arrays or all objects.
const areArrays = (rows: ReadonlyArray<unknown>): rows is ReadonlyArray<ReadonlyArray<unknown>> =>
  rows.length === 0 || Array.isArray(rows[0])

/**
 * A cache of two generations: a hit in the young one costs a single lookup, and statements that were not used while the
 * young one filled up are dropped with the old one.
 */
export const makeStatementCache = (database: DatabaseSync, size: number) => {
  const half = Math.max(1, Math.ceil(size / 2))
  let young = new Map<string, Prepared>()
  let old = new Map<string, Prepared>()
  return (sql: string): Prepared => {
    const hit = young.get(sql)
    if (hit !== undefined) return hit
    const prepared = old.get(sql) ?? prepare(database, sql)
    if (young.size >= half) {
      old = young
      young = new Map()
    }
    young.set(sql, prepared)
    return prepared
  }
}

/** Prepares one statement and refuses text with more, which `node:sqlite` would silently ignore. */
export const prepare = (database: DatabaseSync, sql: string): Prepared => {
  const prepared = prepareFirst(database, sql)
  if (tail(prepared, sql) === "") return prepared
  const message = "Only `unprepared`, and only without parameters, runs more than one statement"
  throw new SqlError.SqlError({
    reason: new SqlError.SqlSyntaxError({ cause: new Error(message), message, operation: "prepare" })
  })
}

const prepareFirst = (database: DatabaseSync, sql: string): Prepared => {
  try {
    const statement = database.prepare(sql)
    return { statement, returnsRows: statement.columns().length > 0, bigints: false, arrays: false }
  } catch (cause) {
    throw toSqlError(cause, "prepare")
  }
}

/** The text after the prepared statement, without leading blanks and comments. */
const tail = ({ statement }: Prepared, sql: string): string =>
  sql.slice(statement.sourceSQL.length).replace(/^(?:[\s;]|--[^\n]*|\/\*[^]*?(?:\*\/|$))*/u, "")
