/**
 * Kills real servers while they run agents and checks the result: one process on SQLite, three on PostgreSQL and on Redis. `CHAOS_SEED`
 * repeats the same kills; `CHAOS_RUNS`, `CHAOS_AT_ONCE` and `CHAOS_SECONDS` set the amount for each store.
 */
import { Redacted } from "effect"
import { chaos, isBroken, lineOf, type Options } from "../packages/cli/test/chaos/chaos.ts"
import * as Postgres from "../packages/stores/test/postgres/server.ts"
import * as Redis from "../packages/stores/test/redis/server.ts"

const number = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise)

const options = {
  seed: number("CHAOS_SEED", Math.floor(Math.random() * 1_000_000)),
  runs: number("CHAOS_RUNS", 1_000),
  atOnce: number("CHAOS_AT_ONCE", 20),
  seconds: number("CHAOS_SECONDS", 120)
}

const prove = async (name: string, more: Pick<Options, "nodes" | "store">) => {
  const verdict = await chaos({ ...options, ...more })
  console.log(lineOf(name, verdict))
  for (const wrong of new Set(verdict.wrong)) console.log(`  ${wrong}`)
  if (isBroken(verdict)) process.exitCode = 1
}

console.log(`chaos with CHAOS_SEED=${options.seed}`)
await prove("sqlite, 1 process", { nodes: 1 })
for (const [name, Server] of [["postgres", Postgres.Server], ["redis", Redis.Server]] as const) {
  const server = await Server.make()
  try {
    await prove(`${name}, 3 processes`, { nodes: 3, store: Redacted.value(server.url) })
  } finally {
    await server.remove()
  }
}
