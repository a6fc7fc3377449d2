// The stores that chaos runs on: where each node finds its store, and the faults that the store has.
import { execute } from "@fastagentic/stores/test/postgres/process"
import type * as Postgres from "@fastagentic/stores/test/postgres/server"
import type * as Redis from "@fastagentic/stores/test/redis/server"
import { Effect, Redacted } from "effect"
import { execFileSync } from "node:child_process"
import { readdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { type Fault, wireFaults } from "./faults.ts"
import type { Node } from "./nodes.ts"
import { Wire } from "./wire.ts"

export interface Target {
  /** The value of `--store` for each process. */
  readonly stores: ReadonlyArray<string>
  readonly env: Record<string, string>
  readonly faults: (nodes: ReadonlyArray<Node>) => ReadonlyArray<Fault>
  readonly close: () => Promise<void>
}

/** One process on a file in a folder. */
export const onSqlite = (folder: string): Target => {
  const store = join(folder, "runs.db")
  const control = join(folder, "fault")
  const set = (fault: string) => writeFileSync(control, fault)
  set("")
  const preload = fileURLToPath(new URL("failingSqlite.ts", import.meta.url))
  const fails = (fault: string, most: number): Fault => async (random) => {
    set(fault)
    await sleep(random.between(20, most))
    set("")
  }
  return {
    stores: [store],
    env: { CHAOS_SQLITE: control, NODE_OPTIONS: `--import ${preload}` },
    faults: (nodes) => [
      fails("before", 4_000),
      fails("after", 500),
      async (random) => holdLock(store, random.between(100, 2_000)),
      async (random) => fillDisk(folder, nodes, random.between(50, 2_000))
    ],
    close: async () => {}
  }
}

/** Another process has the file: the server has it for itself while it runs, so this is a fault of its next start. */
const holdLock = async (store: string, millis: number) => {
  const other = new DatabaseSync(store, { timeout: 1_000 })
  try {
    other.exec("BEGIN IMMEDIATE")
    await sleep(millis)
    other.exec("ROLLBACK")
  } catch {
    // The server was not between two lives.
  } finally {
    other.close()
  }
}

/** No file of a process can grow, as on a full disk; what the fixture notes beside the store still can. */
const fillDisk = async (folder: string, nodes: ReadonlyArray<Node>, millis: number) => {
  const notes = readdirSync(folder).filter((name) => name.endsWith(".jsonl"))
  const most = Math.max(...notes.map((name) => statSync(join(folder, name)).size)) + 65_536
  const limited = nodes.map(({ pid }) => pid).filter((pid) => pid > 0)
  limited.forEach((pid) => limitFiles(pid, String(most)))
  await sleep(millis)
  limited.forEach((pid) => limitFiles(pid, "unlimited"))
}

const limitFiles = (pid: number, most: string) => {
  try {
    execFileSync("prlimit", ["--pid", String(pid), `--fsize=${most}:`], { stdio: "ignore" })
  } catch {
    // It was killed meanwhile, or this system has no such limit.
  }
}

/** That many processes on a server of their own, each with a wire of its own. */
export const onPostgres = async (server: Postgres.Server, count: number): Promise<Target> => {
  const end = execute(
    server.url,
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' " +
      "AND pid <> pg_backend_pid() AND random() < 0.7"
  )
  return onServer(server, count, [
    () => Effect.runPromise(Effect.ignore(end)),
    restarts(server, "SIGINT"),
    restarts(server, "SIGQUIT")
  ])
}

/** As `onPostgres`. */
export const onRedis = (server: Redis.Server, count: number): Promise<Target> =>
  onServer(server, count, [restarts(server, "SIGTERM"), restarts(server, "SIGKILL")])

type Server = Postgres.Server | Redis.Server

const onServer = async (server: Server, count: number, own: ReadonlyArray<Fault>): Promise<Target> => {
  const wires = await Promise.all(Array.from({ length: count }, () => Wire.to(Redacted.value(server.url))))
  const stands: Fault = async (random) => {
    server.signal("SIGSTOP")
    await sleep(random.between(100, 4_000))
    server.signal("SIGCONT")
  }
  return {
    stores: wires.map(({ url }) => url),
    env: {},
    faults: () => [...own, stands, ...wireFaults(wires)],
    close: async () => void await Promise.all(wires.map((wire) => wire.close()))
  }
}

/** The server ends and comes back. */
const restarts = <Signal>(
  server: { readonly stop: (signal: Signal) => Promise<void>; readonly start: () => Promise<void> },
  signal: Signal
): Fault =>
async (random) => {
  await server.stop(signal)
  await sleep(random.between(0, 2_000))
  await server.start()
}
