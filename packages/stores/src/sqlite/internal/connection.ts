// Effect's `Connection` over one `DatabaseSync`; `SqliteClient` makes one for each file.
import { Array as Arr, Cause, Effect, Stream } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import type { DatabaseSync } from "node:sqlite"
import { toSqlError } from "./errors.ts"
import { all, iterate, makeStatementCache, prepare, run, script, take, values } from "./statements.ts"

const STREAM_CHUNK = 128

/** The connection that all fibers share. */
export const makeConnection = (
  database: DatabaseSync,
  cacheSize: number,
  sameFile: () => void = () => {}
): Connection => {
  const statements = makeStatementCache(database, cacheSize)
  const cached = (sql: string) => {
    if (sql.startsWith("BEGIN")) sameFile()
    return statements(sql)
  }
  return {
    execute: (sql, params, transformRows) =>
      attempt((bigints) => {
        const rows = all(cached(sql), params, bigints)
        return transformRows === undefined ? rows : transformRows(rows)
      }),
    executeRaw: (sql, params) =>
      attempt((bigints) => {
        const prepared = cached(sql)
        return prepared.returnsRows ? all(prepared, params, bigints) : run(prepared, params, bigints)
      }),
    executeValues: (sql, params) => attempt((bigints) => values(cached(sql), params, bigints)),
    executeValuesUnprepared: (sql, params) => attempt((bigints) => values(prepare(database, sql), params, bigints)),
    executeUnprepared: (sql, params, transformRows) =>
      attempt((bigints) => {
        if (sql.startsWith("BEGIN")) sameFile()
        const rows = script(database, sql, params, bigints)
        return transformRows === undefined ? rows : transformRows(rows)
      }),
    executeStream: (sql, params, transformRows) => {
      // A statement of its own, because the cached one may run again between two rows.
      const cursor = Effect.acquireRelease(
        attempt((bigints) => iterate(prepare(database, sql), params, bigints)),
        (cursor) => Effect.sync(() => cursor.return())
      )
      const pull = (cursor: Iterator<object>) =>
        Effect.flatMap(attempt(() => take(cursor, STREAM_CHUNK)), (rows) => {
          const chunk = transformRows === undefined ? rows : transformRows(rows)
          return Arr.isReadonlyArrayNonEmpty(chunk) ? Effect.succeed(chunk) : Cause.done()
        })
      return Stream.scoped(Stream.fromPull(Effect.map(cursor, pull)))
    }
  }
}

const attempt = <A>(evaluate: (bigints: boolean) => A): Effect.Effect<A, SqlError> =>
  Effect.withFiber((fiber) => {
    try {
      return Effect.succeed(evaluate(fiber.getRef(SqlClient.SafeIntegers)))
    } catch (cause) {
      return Effect.fail(toSqlError(cause, "execute"))
    }
  })
