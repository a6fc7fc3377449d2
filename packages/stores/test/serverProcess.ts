// A database server as a process of the tests, and the tests that need one: the PostgreSQL and Redis of the tests are such.
import { describe } from "@effect/vitest"
import { type ChildProcess, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { delimiter, join } from "node:path"

/** The folders that programs are looked for in. */
export const pathFolders = (process.env["PATH"] ?? "").split(delimiter)

/** The file of a program, if it is installed. */
export const programInPath = (name: string): string | undefined =>
  pathFolders.map((folder) => join(folder, name)).find((file) => existsSync(file))

/** Free ports of this machine, all different. */
export const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"))
  await Promise.all(servers.map((server) => once(server, "listening")))
  const ports = servers.map((server) => Object(server.address()).port)
  await Promise.all(servers.map((server) => once(server.close(), "close")))
  return ports
}

export const freePort = async (): Promise<number> => (await freePorts(1))[0] ?? 0

// An interrupted run exits without its teardown, and nothing can be awaited then.
const started = new Map<ChildProcess, NodeJS.Signals>()
process.once("exit", () => started.forEach((signal, child) => child.kill(signal)))

/** A server with a folder of its own that can be stopped and started again. */
export abstract class ServerProcess<Signal extends NodeJS.Signals> {
  private child: ChildProcess | undefined
  protected readonly folder: string
  private readonly atOnce: Signal

  constructor(folder: string, atOnce: Signal) {
    this.folder = folder
    this.atOnce = atOnce
  }

  protected runsIn(child: ChildProcess): void {
    this.child = child
    started.set(child, this.atOnce)
  }

  async stop(signal: Signal): Promise<void> {
    const { child } = this
    if (child === undefined) return
    this.child = undefined
    const exited = once(child, "exit")
    child.kill(signal)
    await exited
    started.delete(child)
  }

  /** Sends a signal to the server and to the processes that it has started. */
  signal(signal: NodeJS.Signals) {
    const pid = this.child?.pid
    if (pid === undefined) return
    for (const one of [pid, ...childrenOf(pid)]) {
      try {
        process.kill(one, signal)
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  async remove(): Promise<void> {
    await this.stop(this.atOnce)
    rmSync(this.folder, { recursive: true, force: true })
  }
}

const childrenOf = (pid: number): ReadonlyArray<number> =>
  spawnSync("ps", ["-o", "pid=", "--ppid", String(pid)], { encoding: "utf8" }).stdout.split("\n").filter((line) =>
    line.trim() !== ""
  ).map(Number)

/** Registers tests; with a reason they are skipped, or fail when `FASTAGENTIC_REQUIRE_SERVICES` is 1. */
export const describeUnless = (reason: string | undefined, name: string, body: () => void) => {
  if (reason === undefined) return describe(name, body)
  if (process.env["FASTAGENTIC_REQUIRE_SERVICES"] === "1") throw new Error(`${name}: ${reason}`)
  console.warn(`${name} is skipped, ${reason}`)
  describe.skip(name, body)
}
