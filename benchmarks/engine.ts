/** Our two engines compared, on SQLite and on PostgreSQL with one node. See README.md. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { atEnd } from "./durable/atEnd.ts"
import { describeMachine } from "./durable/machine.ts"
import { median } from "./durable/measure.ts"
import { startPostgres } from "./durable/postgres.ts"
import { ServerProcess } from "./durable/serverProcess.ts"
import { send } from "./load.ts"
import { cpuMillis, cpuMillisOfTree, freePort } from "./process.ts"

const count = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise)
const rounds = count("ROUNDS", 5)
const runs = count("RUNS", 20)
const clients = count("CLIENTS", 16)
const loadedRuns = count("LOADED_RUNS", 200)

const walk = { path: "/agents/walker", body: { steps: 10, millis: 0 }, expect: "\"walked\":10" }

const folder = mkdtempSync(join(tmpdir(), "bench-engine-"))
atEnd(() => rmSync(folder, { recursive: true, force: true }))
const postgres = await startPostgres()
if (typeof postgres === "string") throw new Error(postgres)

const spawn = async (name: string, store: string, engine: string, cpuBehind: () => number) => {
  const port = await freePort()
  const app = await ServerProcess.spawn(join(import.meta.dirname, "servers/durable.ts"), port, {
    STORE: store,
    ENGINE: engine
  }).ready()
  const url = `http://127.0.0.1:${port}`
  // Warms up, and waits until the engine has its shards.
  await send(url, walk, 20, 4)
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  await send(url, walk, 20, 4)
  const found: Record<"p50" | "perSecond" | "own" | "behind", Array<number>> = {
    p50: [],
    perSecond: [],
    own: [],
    behind: []
  }
  const measure = async () => {
    const millis: Array<number> = []
    await send(url, walk, runs, 1, (one) => millis.push(one))
    found.p50.push(median(millis))
    const [ownBefore, behindBefore] = [cpuMillis(app.pid), cpuBehind()]
    const seconds = await send(url, walk, loadedRuns, clients)
    found.perSecond.push(loadedRuns / seconds)
    found.own.push((cpuMillis(app.pid) - ownBefore) / loadedRuns)
    found.behind.push((cpuBehind() - behindBefore) / loadedRuns)
  }
  return { name, found, measure }
}

const none = () => 0
const behind = () => cpuMillisOfTree(postgres.pid)
const all = [
  await spawn("sqlite, local", join(folder, "local.db"), "local", none),
  await spawn("sqlite, cluster", join(folder, "cluster.db"), "cluster", none),
  await spawn("postgres, local", postgres.database("local"), "local", behind),
  await spawn("postgres, cluster", postgres.database("cluster"), "cluster", behind)
]
for (let round = 0; round < rounds; round++) {
  for (const { measure } of all) await measure()
}

console.log(`${describeMachine()}, ${postgres.version}`)
console.log(`${rounds} rounds, ${runs} runs of 10 steps in turn, ${loadedRuns} with ${clients} clients; medians`)
console.log("|  | p50, ms | runs/s | CPU of a run, ms | with the database, ms |\n|---|---|---|---|---|")
for (const { found, name } of all) {
  const [p50, perSecond, own, database] = [found.p50, found.perSecond, found.own, found.behind].map(median)
  const cells = [p50, perSecond, own, (own ?? NaN) + (database ?? NaN)].map((value) => value?.toFixed(1))
  console.log(`| ${name} | ${cells.join(" | ")} |`)
}
process.exit()
