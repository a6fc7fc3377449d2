// PostgreSQL for the tests: the server that `FASTAGENTIC_TEST_POSTGRES_URL` names, which is the one of the test run unless
// it was set before. Without a server, tests are skipped, and fail when `FASTAGENTIC_REQUIRE_SERVICES` is 1.
import { Effect, Redacted } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { describeUnless } from "../serverProcess.ts"
import { execute, isInstalled, noServer, urlOf } from "./process.ts"

export { Server } from "./process.ts"

const given = process.env["FASTAGENTIC_TEST_POSTGRES_URL"]
/** The server of the test run is removed as a whole: to drop a database of it, it would write all its pages first. */
const isOurs = process.env["FASTAGENTIC_TEST_POSTGRES_OURS"] !== undefined
const template = process.env["FASTAGENTIC_TEST_POSTGRES_TEMPLATE"]

let databases = 0

const create = Effect.fnUntraced(function*(options: string) {
  const url = Redacted.make(given ?? "")
  const name = `fastagentic_test_${process.pid}_${Date.now()}_${++databases}`
  yield* Effect.acquireRelease(
    Effect.orDie(execute(url, `CREATE DATABASE ${name} ${options}`)),
    () => isOurs ? Effect.void : Effect.orDie(execute(url, `DROP DATABASE ${name} WITH (FORCE)`))
  )
  return urlOf(url, name)
})

/** A new database without tables, dropped with the scope. */
export const emptyDatabase = create("")

/** A new database, dropped with the scope. It has the tables already, and an identity of its own. */
export const database = template === undefined ? emptyDatabase : Effect.tap(
  create(`TEMPLATE ${template}`),
  (url) => Effect.orDie(execute(url, "UPDATE store_identity SET id = md5(random()::text || clock_timestamp()::text)"))
)

/** Waits until a connection of this database waits for a lock; other files have databases of their own on the server. */
export const lockAwaited = (sql: SqlClient) =>
  Effect.repeat(
    sql`
      SELECT 1 FROM pg_locks WHERE NOT granted AND pid IN (
        SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database WHERE datname = current_database()
      )`,
    { until: (rows) => rows.length > 0 }
  )

/** Registers tests that need a server. */
export const describeWithServer = (name: string, body: () => void) =>
  describeUnless(
    given === undefined
      ? "no PostgreSQL: there is neither FASTAGENTIC_TEST_POSTGRES_URL nor an installed server"
      : undefined,
    name,
    body
  )

/** Registers tests that stop their server. */
export const describeWithOwnServer = (name: string, body: () => void) =>
  describeUnless(isInstalled ? undefined : noServer, name, body)
