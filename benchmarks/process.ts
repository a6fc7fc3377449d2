/** Server processes as a benchmark sees them: started, asked for their CPU time and memory, stopped. */
import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { createServer } from "node:net"

export interface Measured {
  readonly url: string
  /** User and system time so far, in milliseconds. */
  readonly cpuMillis: () => number
  /** Resident memory in MiB. */
  readonly rssMiB: () => number
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

const path = (name: string) => new URL(name, import.meta.url).pathname

/** The raw server, an app served by the real command, or an app behind a door. */
export const commands = {
  raw: [path("servers/raw.ts")],
  door: [path("servers/door.ts")],
  fastagentic: [
    path("../node_modules/.bin/fastagentic"),
    "run",
    path("servers/fastagentic.ts"),
    "--mode",
    "http"
  ]
} as const

/** `CPU_PROF=folder` writes a profile of each server there. */
const profiling = process.env["CPU_PROF"] === undefined
  ? []
  : ["--cpu-prof", "--cpu-prof-dir", process.env["CPU_PROF"]]

/**
 * `store` is what `--store` names, `retention` what `--retention` says, `env` what a server of ours reads besides; the raw
 * server keeps nothing anyway.
 */
export const start = async (
  command: keyof typeof commands,
  store = "memory",
  retention = "",
  env: Record<string, string> = {}
): Promise<Measured> => {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const child = spawn(process.execPath, [...profiling, ...commands[command]], {
    env: { ...process.env, PORT: String(port), FASTAGENTIC_STORE: store, FASTAGENTIC_RETENTION: retention, ...env },
    stdio: ["ignore", "ignore", "inherit"]
  })
  await answering(url, child)
  return {
    url,
    cpuMillis: () => cpuMillis(child.pid),
    rssMiB: () => Number(/VmRSS:\s+(\d+)/u.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1_024,
    stop: () => child.kill(profiling.length === 0 ? "SIGKILL" : "SIGTERM")
  }
}

/** User and system time of a process so far, in milliseconds: fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms. */
export const cpuMillis = (pid: number | undefined): number => sumOfTicks(pid, 2)

/** The same of a process and its children, also of those that have ended: a PostgreSQL has one for each connection. */
export const cpuMillisOfTree = (pid: number | undefined): number =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter((child) => child !== "")
    .reduce((sum, child) => sum + cpuMillisOfTree(Number(child)), sumOfTicks(pid, 4))

const sumOfTicks = (pid: number | undefined, fields: number) =>
  (readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? []).slice(11, 11 + fields)
    .reduce((sum, ticks) => sum + Number(ticks) * 10, 0)

const answering = async (url: string, child: ChildProcess) => {
  for (let i = 0; i < 200; i++) {
    if (child.exitCode !== null) throw new Error(`the server ended with code ${child.exitCode}`)
    const ok = await fetch(`${url}/health`).then((response) => response.ok, () => false)
    if (ok) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`no answer on ${url}`)
}
