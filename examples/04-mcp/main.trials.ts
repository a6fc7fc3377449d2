import { assert, describe, it } from "@effect/vitest"
import { database, describeWithServer } from "@fastagentic/stores/test/postgres/server"
import { Effect, Redacted } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeBalancer, serve } from "../03-two-nodes/balancer.ts"
import { start, stop } from "./server.ts"
import { conformance, type Report } from "./suite.ts"

/** A server on a SQLite file of its own. */
const server = Effect.acquireRelease(
  Effect.promise(async () => {
    const folder = mkdtempSync(join(tmpdir(), "mcp-app-"))
    return { folder, ...(await start(join(folder, "app.db"))) }
  }),
  (started) =>
    Effect.promise(async () => {
      await stop(started)
      rmSync(started.folder, { recursive: true, force: true })
    })
)

const suite = (url: string, ...args: ReadonlyArray<string>) => Effect.promise(() => conformance(`${url}/mcp`, ...args))

const passes = ({ failures, output, scenarios }: Report, count: number) => {
  assert.deepStrictEqual(failures, [])
  assert.isAtLeast(scenarios.size, count, output)
}

/** A server on a database that it shares. */
const nodeOn = (store: string) =>
  Effect.acquireRelease(Effect.promise(() => start(store)), (node) => Effect.promise(() => stop(node)))

const passesAll = Effect.fnUntraced(function*(url: string) {
  passes(yield* suite(url, "--suite", "all", "--spec-version", "2025-06-18"), 27)
  passes(yield* suite(url, "--requirements", "2025-11-25"), 30)
  passes(yield* suite(url, "--requirements", "2026-07-28"), 50)
})

describe("the official conformance suite of MCP", () => {
  it.live(
    "passes for 2025-06-18, 2025-11-25 and 2026-07-28 on one node",
    () => Effect.scoped(Effect.flatMap(server, ({ url }) => passesAll(url))),
    180_000
  )
})

describeWithServer("the official conformance suite of MCP", () => {
  it.live(
    "passes on two nodes behind a round robin, which send no request to the node of another",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const store = Redacted.value(yield* database)
        const [one, two] = [yield* nodeOn(store), yield* nodeOn(store)]
        const url = yield* Effect.promise(() => serve(makeBalancer([one.url, two.url])))
        yield* passesAll(url)
      })),
    180_000
  )
})
