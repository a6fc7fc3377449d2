/** Server processes of a benchmark: started, read for their CPU time and memory, stopped. */
import { type ChildProcess, spawn } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { createServer } from "node:net"
import { resolve } from "node:path"

export interface Measured {
  readonly url: string
  /** User and system time so far, in milliseconds. */
  readonly cpuMillis: () => number
  /** The same to the microsecond, of the threads that live. */
  readonly threadMillis: () => number
  /** Resident memory in MiB. */
  readonly rssMiB: () => number
  readonly signal: (name: NodeJS.Signals) => void
  readonly stop: () => void
}

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

/** The raw server, an app served by the real command, an app behind a door, or durable steps. */
const commands = {
  a2a: ["servers/a2a.ts"],
  a2aSdk: ["servers/a2aSdk.ts"],
  raw: ["servers/raw.ts"],
  door: ["servers/door.ts"],
  durable: ["servers/durable.ts"],
  mcp: ["--expose-gc", "servers/mcp.ts"],
  mcpBare: ["--expose-gc", "servers/mcpBare.ts"],
  runAlone: ["servers/runAlone.ts"],
  fastagentic: ["../node_modules/.bin/fastagentic", "run", "servers/fastagentic.ts", "--mode", "http"]
} as const

export type Command = keyof typeof commands

/** A word of a command that names a file of the checkout becomes its path. */
const pathOf = (benchmarks: string, word: string) => word.includes("/") ? resolve(benchmarks, word) : word

/** `CPU_PROF=folder` writes a profile of each server there. */
const profiling = process.env["CPU_PROF"] === undefined
  ? []
  : ["--cpu-prof", "--cpu-prof-dir", process.env["CPU_PROF"]]

/**
 * `store` is what `--store` names, `retention` what `--retention` says, `env` what a server of ours reads besides; the raw
 * server keeps nothing anyway. `benchmarks` is the folder of the checkout that is measured: this one, or a commit's.
 * `store` is the value of `--store`, `retention` that of `--retention`, `env` further variables of our server; the raw
 * server keeps nothing.
 */
export const start = async (
  command: Command,
  store = "memory",
  retention = "",
  env: Record<string, string> = {},
  benchmarks: string = import.meta.dirname
): Promise<Measured> => {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const words = commands[command].map((word) => pathOf(benchmarks, word))
  const child = spawn(process.execPath, [...profiling, ...words], {
    cwd: benchmarks,
    env: { ...process.env, PORT: String(port), FASTAGENTIC_STORE: store, FASTAGENTIC_RETENTION: retention, ...env },
    stdio: ["ignore", "ignore", "inherit"]
  })
  await answering(url, child).catch((error: unknown) => {
    child.kill("SIGKILL")
    throw error
  })
  return {
    url,
    cpuMillis: () => cpuMillis(child.pid),
    threadMillis: () => threadMillis(child.pid),
    rssMiB: () => Number(/VmRSS:\s+(\d+)/u.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1_024,
    signal: (name) => void child.kill(name),
    stop: () => child.kill(profiling.length === 0 ? "SIGKILL" : "SIGTERM")
  }
}

/** User and system time of a process so far, in milliseconds: fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms. */
export const cpuMillis = (pid: number | undefined): number => sumOfTicks(pid, 2)

/** CPU time from the scheduler, in nanoseconds: a turn of a second is too short for ticks. */
const threadMillis = (pid: number | undefined): number =>
  readdirSync(`/proc/${pid}/task`)
    .reduce((sum, task) => sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]), 0) /
  1_000_000

/** The same for a process and its children, including ended ones: a PostgreSQL has one for each connection. */
export const cpuMillisOfTree = (pid: number | undefined): number =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter((child) => child !== "")
    .reduce((sum, child) => sum + cpuMillisOfTree(Number(child)), sumOfTicks(pid, 4))

const sumOfTicks = (pid: number | undefined, fields: number) =>
  (readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? []).slice(11, 11 + fields)
    .reduce((sum, ticks) => sum + Number(ticks) * 10, 0)

const answering = async (url: string, child: ChildProcess) => {
  // A busy machine takes its time, and a database has its tables to make.
  for (let i = 0; i < 1_200; i++) {
    if (child.exitCode !== null) throw new Error(`the server ended with code ${child.exitCode}`)
    // A request that comes before the server is complete may wait for ever.
    const soon = AbortSignal.timeout(1_000)
    const ok = await fetch(`${url}/health`, { signal: soon }).then((response) => response.ok, () => false)
    if (ok) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`no answer on ${url}`)
}
