import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { start, stop } from "./server.ts"
import { conformance, type Report } from "./suite.ts"

/** A server on a SQLite file of its own. */
const server = Effect.acquireRelease(
  Effect.promise(async () => {
    const folder = mkdtempSync(join(tmpdir(), "mcp-app-"))
    return { folder, ...(await start("--store", join(folder, "app.db"))) }
  }),
  (started) =>
    Effect.promise(async () => {
      await stop(started)
      rmSync(started.folder, { recursive: true, force: true })
    })
)

const suite = (url: string, ...args: ReadonlyArray<string>) => Effect.promise(() => conformance(`${url}/mcp`, ...args))

/** The scenarios that the suite runs and does not score: those of the tasks extension, and streams that a client polls. */
const skipped = (failure: string) => failure.startsWith("tasks-") || failure.startsWith("server-sse-polling")

const passes = ({ failures, output, scenarios }: Report, count: number) => {
  assert.deepStrictEqual(failures.filter((failure) => !skipped(failure)), [])
  assert.isAtLeast(scenarios.size, count, output)
}

describe("the official conformance suite of MCP", () => {
  it.live("passes for 2025-06-18, 2025-11-25 and 2026-07-28 on one node", () =>
    Effect.scoped(Effect.gen(function*() {
      const { url } = yield* server
      passes(yield* suite(url, "--suite", "all", "--spec-version", "2025-06-18"), 27)
      passes(yield* suite(url, "--requirements", "2025-11-25"), 30)
      passes(yield* suite(url, "--requirements", "2026-07-28"), 37)
    })), 180_000)
})
