// A PostgreSQL of the benchmark's own with its default settings: a commit is on disk.
import { spawn, spawnSync } from "node:child_process"
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { freePort } from "../process.ts"
import { atEnd } from "./atEnd.ts"

export interface Postgres {
  readonly version: string
  readonly pid: number | undefined
  /** Creates a database and returns its URL. */
  readonly database: (name: string) => string
}

/** The folder with the newest installed server. */
const folder = () => {
  const root = "/usr/lib/postgresql"
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : []
  return versions.map((version) => join(root, version, "bin")).find((bin) => existsSync(join(bin, "initdb")))
}

/** PostgreSQL refuses to run as root, so another user runs it. */
const identity = () => {
  if (process.getuid?.() !== 0) return {}
  const users = readFileSync("/etc/passwd", "utf8").split("\n").map((line) => line.split(":"))
  const [, , uid, gid] = users.find(([name]) => name === "postgres") ?? users.find(([name]) => name === "nobody") ?? []
  return { uid: Number(uid), gid: Number(gid) }
}

/** Starts it, or returns the reason why it cannot. */
export const startPostgres = async (): Promise<Postgres | string> => {
  const bin = folder()
  if (bin === undefined) return "PostgreSQL is not installed under /usr/lib/postgresql"
  const data = mkdtempSync(join(tmpdir(), "bench-postgres-"))
  const who = { ...identity(), cwd: data }
  if ("uid" in who && "gid" in who) chownSync(data, who.uid, who.gid)
  const run = (name: string, ...args: ReadonlyArray<string>) => {
    const { status, stderr, stdout } = spawnSync(join(bin, name), args, { ...who, encoding: "utf8" })
    if (status !== 0) throw new Error(`${name}: ${stderr}`)
    return stdout.trim()
  }
  run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
  const port = await freePort()
  const settings = ["unix_socket_directories=", "listen_addresses=127.0.0.1"].flatMap((setting) => ["-c", setting])
  const child = spawn(join(bin, "postgres"), ["-D", data, "-p", `${port}`, ...settings], { ...who, stdio: "ignore" })
  atEnd(() => {
    run("pg_ctl", "stop", "-D", data, "-m", "immediate")
    rmSync(data, { recursive: true })
  })
  await untilReady(() => spawnSync(join(bin, "pg_isready"), ["-h", "127.0.0.1", "-p", `${port}`]).status === 0)
  return {
    version: run("postgres", "--version"),
    pid: child.pid,
    database: (name) => {
      run("createdb", "-h", "127.0.0.1", "-p", `${port}`, "-U", "postgres", name)
      return `postgres://postgres@127.0.0.1:${port}/${name}`
    }
  }
}

const untilReady = async (ready: () => boolean) => {
  for (let i = 0; i < 400; i++) {
    if (ready()) return
    await sleep(50)
  }
  throw new Error("PostgreSQL does not start")
}
