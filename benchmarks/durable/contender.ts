// The measured systems: our server on two stores, DBOS on the same PostgreSQL, Restate behind its own server.
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { Load } from "../load.ts"
import { cpuMillis, cpuMillisOfTree, freePort } from "../process.ts"
import { atEnd } from "./atEnd.ts"
import * as peers from "./peers.ts"
import type { Postgres } from "./postgres.ts"
import { ServerProcess } from "./serverProcess.ts"

export type Name = "sqlite" | "postgres" | "dbos" | "restate"

export interface Contender {
  readonly name: Name
  /** The URL for clients. */
  readonly url: string
  /** A run of `steps` steps of `millis` milliseconds. */
  readonly walk: (steps: number, millis: number) => Load
  /** Starts a process that runs handlers: on the contender's own port, or as another node. */
  readonly spawn: (environment?: Readonly<Record<string, string>>, port?: number) => ServerProcess
  /** CPU time of its other processes: the database, the Restate server. */
  readonly cpuBehind: () => number
}

const here = (path: string) => join(import.meta.dirname, "..", path)

const ours = async (name: Name, store: string, cpuBehind: () => number): Promise<Contender> => {
  const port = await freePort()
  return {
    name,
    url: `http://127.0.0.1:${port}`,
    walk: (steps, millis) => ({ path: "/agents/walker", body: { steps, millis }, expect: `"walked":${steps}` }),
    spawn: (environment = {}, other = port) =>
      ServerProcess.spawn(here("servers/durable.ts"), other, { STORE: store, ...environment }),
    cpuBehind
  }
}

export const onSqlite = () => {
  const folder = mkdtempSync(join(tmpdir(), "bench-sqlite-"))
  atEnd(() => rmSync(folder, { recursive: true }))
  return ours("sqlite", join(folder, "walk.db"), () => 0)
}

export const onPostgres = ({ database, pid }: Postgres) =>
  ours("postgres", database("walk"), () => cpuMillisOfTree(pid))

export const dbos = async ({ database, pid }: Postgres): Promise<Contender> => {
  const port = await freePort()
  const store = database("dbos")
  return {
    name: "dbos",
    url: `http://127.0.0.1:${port}`,
    walk: (steps, millis) => ({ path: "/walk", body: { steps, millis }, expect: `"walked":${steps}` }),
    spawn: (environment = {}, other = port) =>
      ServerProcess.spawn(here("peers/dbos.ts"), other, { STORE: store, ...environment }),
    cpuBehind: () => cpuMillisOfTree(pid)
  }
}

/** The server with its default settings; only paths and ports are ours. */
export const restate = async (program: string): Promise<Contender> => {
  const folder = mkdtempSync(join(tmpdir(), "bench-restate-"))
  const [ingress = 0, admin = 0, fabric = 0, port = 0] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort()
  ]
  const server = spawn(program, ["--base-dir", folder, "--listen-mode", "tcp", "--no-logo"], {
    env: {
      ...process.env,
      RESTATE_BIND_IP: "127.0.0.1",
      RESTATE_BIND_PORT: `${fabric}`,
      RESTATE_INGRESS__BIND_PORT: `${ingress}`,
      RESTATE_ADMIN__BIND_PORT: `${admin}`,
      RESTATE_DISABLE_TELEMETRY: "true",
      RESTATE_LOG_FILTER: "warn"
    },
    stdio: "ignore"
  })
  atEnd(() => {
    server.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  const spawnHandlers: Contender["spawn"] = (environment = {}, other = port) =>
    ServerProcess.spawn(here("peers/restate.ts"), other, { RESTATE_LOGGING: "ERROR", ...environment })
  const handlers = await spawnHandlers().ready()
  await register(`http://127.0.0.1:${admin}/deployments`, `http://127.0.0.1:${port}`)
  await handlers.kill()
  return {
    name: "restate",
    url: `http://127.0.0.1:${ingress}`,
    walk: (steps, millis) => ({ path: "/walker/walk", body: { steps, millis }, expect: `"walked":${steps}` }),
    spawn: spawnHandlers,
    cpuBehind: () => cpuMillis(server.pid)
  }
}

const register = async (url: string, uri: string) => {
  for (let i = 0; i < 200; i++) {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ uri })
    }).then((response) => response.ok ? "" : response.text(), () => "no connection")
    if (answer === "") return
    if (i === 199) throw new Error(`the Restate server does not take the service: ${answer}`)
    await sleep(100)
  }
}

/** The contenders that can run here, and the reasons why others cannot. */
export const gather = async (postgres: Postgres | string) => {
  const missing = peers.install()
  const absent: Array<string> = []
  const contenders = [await onSqlite()]
  if (typeof postgres === "string") absent.push(`postgres and dbos: ${postgres}`)
  else contenders.push(await onPostgres(postgres))
  if (missing !== undefined) return { contenders, absent: [...absent, `dbos and restate: ${missing}`] }
  if (typeof postgres !== "string") contenders.push(await dbos(postgres))
  const program = peers.restateServer()
  if (program === undefined) absent.push(`restate: no server for ${process.platform} on ${process.arch}`)
  else contenders.push(await restate(program))
  return { contenders, absent }
}
