import { assert, describe, it } from "@effect/vitest"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import * as RedisServer from "@fastagentic/stores/test/redis/server"
import { Effect, Redacted } from "effect"
import { chaos, isBroken, lineOf, type Options } from "./chaos/chaos.ts"

/** The short form of `npm run chaos`. */
const holds = async (name: string, options: Pick<Options, "nodes" | "store">) => {
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
    () => holds("sqlite", { nodes: 1 }),
    120_000
  )
})

PostgresServer.describeWithServer("Real servers that are killed on PostgreSQL", () => {
  it.live("killed servers lose nothing, run nothing twice and keep whole journals", () =>
    Effect.gen(function*() {
      const url = Redacted.value(yield* PostgresServer.database)
      yield* Effect.promise(() => holds("postgres", { nodes: 3, store: url }))
    }).pipe(Effect.scoped), 120_000)
})

RedisServer.describeWithOwnServer("Real servers that are killed on Redis", () => {
  it.live("killed servers lose nothing, run nothing twice and keep whole journals", () =>
    Effect.gen(function*() {
      const { url } = yield* RedisServer.ownServer()
      yield* Effect.promise(() => holds("redis", { nodes: 3, store: Redacted.value(url) }))
    }).pipe(Effect.scoped), 120_000)
})
