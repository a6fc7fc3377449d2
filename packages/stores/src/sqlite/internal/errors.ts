// The errors of `node:sqlite` as `SqlError`s.
import { Predicate } from "effect"
import * as SqlError from "effect/sql/SqlError"

const SQLITE_ERROR = 1
const SQLITE_BUSY = 5
const SQLITE_READONLY = 8
const SQLITE_CONSTRAINT_PRIMARYKEY = 1555
const SQLITE_CONSTRAINT_UNIQUE = 2067
const SQLITE_CONSTRAINT_ROWID = 2579

interface SqliteCause extends Error {
  readonly errcode: number
}

export const isSqliteCause = (cause: unknown): cause is SqliteCause =>
  cause instanceof Error && Predicate.hasProperty(cause, "errcode") && typeof cause.errcode === "number"

const primaryCode = (cause: SqliteCause): number => cause.errcode & 0xff

export const isBusy = (cause: unknown): boolean => isSqliteCause(cause) && primaryCode(cause) === SQLITE_BUSY

type Operation = "open" | "prepare" | "execute"

export const toSqlError = (cause: unknown, operation: Operation): SqlError.SqlError =>
  SqlError.isSqlError(cause) ? cause : new SqlError.SqlError({ reason: toReason(cause, operation) })

const toReason = (cause: unknown, operation: Operation): SqlError.SqlErrorReason => {
  const message = cause instanceof Error ? cause.message : String(cause)
  if (!isSqliteCause(cause)) return new SqlError.UnknownError({ cause, message, operation })
  if (primaryCode(cause) === SQLITE_READONLY) return new SqlError.AuthorizationError({ cause, message, operation })
  if (cause.errcode === SQLITE_ERROR && operation === "prepare") {
    return new SqlError.SqlSyntaxError({ cause, message, operation })
  }
  // Effect reads the result code from `errno`.
  return SqlError.classifySqliteError(Object.assign(cause, { errno: uniqueCode(cause.errcode) }), {
    message,
    operation
  })
}

/** Reports a duplicate primary key as a unique violation, as other databases do. */
const uniqueCode = (code: number): number =>
  code === SQLITE_CONSTRAINT_PRIMARYKEY || code === SQLITE_CONSTRAINT_ROWID ? SQLITE_CONSTRAINT_UNIQUE : code
