import { assert, describe, it } from "@effect/vitest"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import * as RedisServer from "@fastagentic/stores/test/redis/server"
import { Effect, Redacted } from "effect"
import { setTimeout } from "node:timers/promises"
import { fastagentic, fixture, listening, temporaryFolder } from "./process.ts"

describe("fastagentic run", () => {
  it("an app's own limits hold, and survive a killed server", async () => {
    const cwd = temporaryFolder()
    const args = ["run", fixture("limited.ts"), "--mode", "http", "--port", "0", "--store", "runs.db"]
    const call = async (url: string) => {
      const response = await fetch(`${url}/agents/notes`, { method: "POST", body: "{}" })
      return [response.status, response.headers.get("ratelimit")?.split(";")[1]]
    }
    const first = fastagentic(args, { cwd })
    try {
      const url = await listening(first)
      assert.deepStrictEqual([await call(url), await call(url)], [[200, "r=2"], [200, "r=1"]])
    } finally {
      first.child.kill("SIGKILL")
      await first.exited
    }
    const second = fastagentic(args, { cwd })
    try {
      const url = await listening(second)
      assert.deepStrictEqual([await call(url), await call(url)], [[200, "r=0"], [429, "r=0"]])
    } finally {
      second.child.kill("SIGKILL")
    }
  })
})

describe("fastagentic run --mode stdio", () => {
  it("a refusal over MCP names the exhausted limit", async () => {
    const running = fastagentic(["run", fixture("limited.ts"), "--mode", "stdio", "--store", "memory"], {
      stdin: "pipe"
    })
    const write = (message: object) => running.child.stdin?.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)
    try {
      write({
        id: 0,
        method: "initialize",
        params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } }
      })
      write({ method: "notifications/initialized" })
      for (const id of [1, 2, 3, 4, 5]) write({ id, method: "tools/call", params: { name: "notes", arguments: {} } })
      const lines = () => running.stdout().split("\n").filter((line) => line !== "")
      while (lines().length < 6 && running.child.exitCode === null) await setTimeout(20)
      const answers = lines().map((line) => JSON.parse(line))
      assert.strictEqual(answers.filter(({ result }) => result?.content?.[0].text === "a note").length, 3)
      const refused = answers.filter(({ error }) => error !== undefined)
      assert.lengthOf(refused, 2)
      for (const { error } of refused) assert.deepInclude(error.data, { tag: "RateLimited", rule: "daily", limit: 3 })
    } finally {
      running.child.kill("SIGKILL")
    }
  })
})

const servers = {
  postgres: { describeWithServer: PostgresServer.describeWithServer, url: PostgresServer.database },
  redis: {
    describeWithServer: RedisServer.describeWithServer,
    url: Effect.map(RedisServer.ownServer(), (server) => server.url)
  }
}

for (const [name, { describeWithServer, url }] of Object.entries(servers)) {
  describeWithServer(`two processes on ${name}`, () => {
    it.live("two servers together allow no more calls than one", () =>
      Effect.gen(function*() {
        const env = { FASTAGENTIC_STORE: Redacted.value(yield* url) }
        const nodes = yield* Effect.forEach([1, 2], () =>
          Effect.acquireRelease(
            Effect.sync(() => fastagentic(["run", fixture("limited.ts"), "--mode", "http", "--port", "0"], { env })),
            ({ child, exited }) =>
              Effect.promise(() => {
                child.kill("SIGKILL")
                return exited
              })
          ))
        const urls = yield* Effect.forEach(nodes, (node) => Effect.promise(() => listening(node)))
        const answers = yield* Effect.all(
          Array.from({ length: 20 }, (_, call) =>
            Effect.promise(() => fetch(`${urls[call % 2]}/agents/notes`, { method: "POST", body: "{}" }))),
          { concurrency: 20 }
        )
        assert.deepStrictEqual(
          answers.map(({ status }) =>
            status
          ).sort(),
          [...Array.from({ length: 3 }, () => 200), ...Array.from({ length: 17 }, () => 429)]
        )
      }).pipe(Effect.scoped), 60_000)
  })
}
