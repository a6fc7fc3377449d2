// PostgreSQL server processes of the tests. The services of a test run start one that all files share; a test that stops
// its server starts another.
import { PgConnection } from "@effect/sql-pg"
import { Effect, Redacted, Schedule } from "effect"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"

/** The folder with `initdb` and `postgres`, the newest version first. */
const binaries = (): string | undefined => {
  const installed = "/usr/lib/postgresql"
  const versions = existsSync(installed) ? readdirSync(installed).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [
    ...versions.map((version) => join(installed, version, "bin")),
    ...(process.env["PATH"] ?? "").split(delimiter)
  ]
  const folder = folders.find((folder) => ["initdb", "postgres"].every((name) => existsSync(join(folder, name))))
  return folder === undefined ? undefined : dirname(realpathSync(join(folder, "postgres")))
}

const folder = binaries()

export const isInstalled = folder !== undefined

export const noServer = "there is no installed PostgreSQL server"

/** PostgreSQL refuses to run as root, so another user runs it. */
const identity = (): { readonly uid?: number; readonly gid?: number } => {
  if (process.getuid?.() !== 0) return {}
  const users = readFileSync("/etc/passwd", "utf8").split("\n").map((line) => line.split(":"))
  const [, , uid, gid] = users.find(([name]) => name === "postgres") ?? users.find(([name]) => name === "nobody") ?? []
  return { uid: Number(uid), gid: Number(gid) }
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  return typeof address === "object" && address !== null ? address.port : 0
}

/** Runs one statement on a connection of its own. */
export const execute = (url: Redacted.Redacted, statement: string) =>
  Effect.scoped(Effect.flatMap(PgConnection.make({ url }), (connection) => connection.query(statement)))

/** A server that can be stopped and started again. */
export class Server {
  readonly url: Redacted.Redacted
  readonly data: string
  private readonly port: number
  private child: ChildProcess | undefined

  private constructor(data: string, port: number) {
    this.data = data
    this.port = port
    this.url = Redacted.make(`postgres://postgres@127.0.0.1:${port}/postgres`)
  }

  static async make(): Promise<Server> {
    if (folder === undefined) throw new Error(noServer)
    const data = mkdtempSync(join(tmpdir(), "postgres-"))
    const { gid, uid } = identity()
    if (uid !== undefined && gid !== undefined) chownSync(data, uid, gid)
    const init = (...options: ReadonlyArray<string>) =>
      spawnSync(
        join(folder ?? "", "initdb"),
        ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", ...options],
        { ...identity(), cwd: data, encoding: "utf8" }
      )
    // A collation other than the order of bytes, if the build has one: no result may depend on it.
    const localised = init("--locale-provider=icu", "--icu-locale=en-US", "--locale=C")
    const plain = localised.status === 0 ? localised : init("--locale=C")
    if (plain.status !== 0) throw new Error(`initdb: ${plain.stderr}`)
    const server = new Server(data, await freePort())
    await server.start()
    return server
  }

  async start(): Promise<void> {
    const settings = [
      "fsync=off",
      "unix_socket_directories=",
      "listen_addresses=127.0.0.1",
      "max_connections=300"
    ]
    const flags = settings.flatMap((setting) => ["-c", setting])
    this.child = spawn(join(folder ?? "", "postgres"), ["-D", this.data, "-p", `${this.port}`, ...flags], {
      ...identity(),
      cwd: this.data,
      stdio: "ignore"
    })
    await Effect.runPromise(
      Effect.retry(execute(this.url, "SELECT 1"), { schedule: Schedule.spaced("50 millis"), times: 400 })
    )
  }

  /** `SIGINT` closes all connections first, `SIGQUIT` leaves them to be recovered from. */
  async stop(signal: "SIGINT" | "SIGQUIT"): Promise<void> {
    const { child } = this
    if (child === undefined) return
    this.child = undefined
    const exited = once(child, "exit")
    child.kill(signal)
    await exited
  }

  /** Stops the server when the process that started it exits: nothing can be awaited then. */
  abandon(): void {
    this.child?.kill("SIGQUIT")
  }

  async remove(): Promise<void> {
    await this.stop("SIGQUIT")
    rmSync(this.data, { recursive: true, force: true })
  }
}
