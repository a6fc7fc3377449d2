import { assert, describe, it } from "@effect/vitest"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import * as RedisServer from "@fastagentic/stores/test/redis/server"
import { chaos, isBroken, lineOf, type Options } from "./chaos/chaos.ts"
import { onPostgres, onRedis } from "./chaos/targets.ts"

/** The short form of `npm run chaos`. */
const holds = async (name: string, options: Pick<Options, "target">) => {
  const seed = Math.floor(Math.random() * 1_000_000)
  const verdict = await chaos({ seed, runs: 12, atOnce: 6, seconds: 6, ...options })
  const line = `${lineOf(name, verdict)}, CHAOS_SEED=${seed}`
  assert.isFalse(isBroken(verdict), `${line} ${verdict.wrong.join()}`)
  assert.strictEqual(verdict.finished, 12, line)
  assert.isAbove(verdict.kills + verdict.stops, 0, line)
}

describe("Real servers that are killed", () => {
  it(
    "killed servers lose nothing, run nothing twice and keep whole journals on SQLite",
    () => holds("sqlite", {}),
    120_000
  )
})

PostgresServer.describeWithOwnServer("Real servers that are killed on PostgreSQL", () => {
  it("killed servers lose nothing, run nothing twice and keep whole journals", async () => {
    const server = await PostgresServer.Server.make()
    const target = await onPostgres(server, 3)
    try {
      await holds("postgres", { target })
    } finally {
      await target.close()
      await server.remove()
    }
  }, 120_000)
})

RedisServer.describeWithOwnServer("Real servers that are killed on Redis", () => {
  it("killed servers lose nothing, run nothing twice and keep whole journals", async () => {
    const server = await RedisServer.Server.make()
    const target = await onRedis(server, 3)
    try {
      await holds("redis", { target })
    } finally {
      await target.close()
      await server.remove()
    }
  }, 120_000)
})
