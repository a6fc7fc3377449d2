// Redis for the tests: the server that `FASTAGENTIC_TEST_REDIS_URL` names, which is the one of the test run unless it was
// set before. Without a server, tests are skipped, and fail when `FASTAGENTIC_REQUIRE_SERVICES` is 1.
import { Effect, Redacted } from "effect"
import { describeUnless } from "../serverProcess.ts"
import { isInstalled, noServer, Server } from "./process.ts"

export { Server } from "./process.ts"

const given = process.env["FASTAGENTIC_TEST_REDIS_URL"]

/** A server for one test. */
export const ownServer = (settings?: ReadonlyArray<string>) =>
  Effect.acquireRelease(Effect.promise(() => Server.make(settings)), (server) => Effect.promise(() => server.remove()))

let prefixes = 0

/** The server, and a unique prefix. */
export const options = Effect.sync(() => ({
  url: Redacted.make(given ?? ""),
  prefix: `test-${process.pid}-${Date.now()}-${++prefixes}:`
}))

/** Registers tests that need a server. */
export const describeWithServer = (name: string, body: () => void) =>
  describeUnless(
    given === undefined
      ? "there is neither FASTAGENTIC_TEST_REDIS_URL nor a redis-server in PATH"
      : undefined,
    name,
    body
  )

/** Registers tests that stop their server. */
export const describeWithOwnServer = (name: string, body: () => void) =>
  describeUnless(isInstalled ? undefined : noServer, name, body)
