/**
 * Kills real servers and fails their stores while they run agents, and checks the result: one process on SQLite, three on
 * PostgreSQL and on Redis. `CHAOS_SEED` repeats the same kills and faults; `CHAOS_RUNS`, `CHAOS_AT_ONCE` and `CHAOS_SECONDS`
 * set the amount for each store, `CHAOS_ONLY=redis` names one.
 */
import { chaos, isBroken, lineOf, type Options } from "../packages/cli/test/chaos/chaos.ts"
import { onPostgres, onRedis, type Target } from "../packages/cli/test/chaos/targets.ts"
import * as Postgres from "../packages/stores/test/postgres/server.ts"
import * as Redis from "../packages/stores/test/redis/server.ts"

const number = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise)

const options = {
  seed: number("CHAOS_SEED", Math.floor(Math.random() * 1_000_000)),
  runs: number("CHAOS_RUNS", 1_000),
  atOnce: number("CHAOS_AT_ONCE", 20),
  seconds: number("CHAOS_SECONDS", 120)
}

const prove = async (name: string, more: Pick<Options, "target">) => {
  const verdict = await chaos({ ...options, ...more })
  console.log(lineOf(name, verdict))
  for (const wrong of new Set(verdict.wrong)) console.log(`  ${wrong}`)
  if (isBroken(verdict)) process.exitCode = 1
}

console.log(`chaos with CHAOS_SEED=${options.seed}`)
const proveOn = async (name: string, server: { readonly remove: () => Promise<void> }, making: Promise<Target>) => {
  const target = await making
  try {
    await prove(`${name}, 3 processes`, { target })
  } finally {
    await target.close()
    await server.remove()
  }
}

const only = process.env["CHAOS_ONLY"]
const stores = {
  sqlite: () => prove("sqlite, 1 process", {}),
  postgres: async () => {
    const server = await Postgres.Server.make()
    await proveOn("postgres", server, onPostgres(server, 3))
  },
  redis: async () => {
    const server = await Redis.Server.make()
    await proveOn("redis", server, onRedis(server, 3))
  }
}
for (const [name, proves] of Object.entries(stores)) if (only === undefined || only === name) await proves()
