// PostgreSQL for the tests: the server that `FASTAGENTIC_TEST_POSTGRES_URL` names, which is the one of the test run unless
// it was set before. Without a server, tests are skipped, and fail when `FASTAGENTIC_REQUIRE_SERVICES` is 1.
import { Effect, Redacted } from "effect"
import { describeUnless } from "../serverProcess.ts"
import { execute, isInstalled, noServer } from "./process.ts"

export { Server } from "./process.ts"

const given = process.env["FASTAGENTIC_TEST_POSTGRES_URL"]

let databases = 0

/** A new database, dropped with the scope. */
export const database = Effect.gen(function*() {
  const url = Redacted.make(given ?? "")
  const name = `fastagentic_test_${process.pid}_${Date.now()}_${++databases}`
  yield* Effect.acquireRelease(
    Effect.orDie(execute(url, `CREATE DATABASE ${name}`)),
    () => Effect.orDie(execute(url, `DROP DATABASE ${name} WITH (FORCE)`))
  )
  const own = new URL(Redacted.value(url))
  own.pathname = `/${name}`
  return Redacted.make(own.href)
})

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
