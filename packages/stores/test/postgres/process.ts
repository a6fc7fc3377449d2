// PostgreSQL server processes of the tests. The services of a test run start one that all files share; a test that stops
// its server starts another.
import { PgClient, PgConnection } from "@effect/sql-pg"
import { Effect, Layer, Redacted, Schedule } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as migrations from "../../src/postgres/migrations.ts"
import { freePort, pathFolders, ServerProcess } from "../serverProcess.ts"

/** The folder with `initdb` and `postgres`, the newest version first. */
const binaries = (): string | undefined => {
  const installed = "/usr/lib/postgresql"
  const versions = existsSync(installed) ? readdirSync(installed).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [
    ...versions.map((version) => join(installed, version, "bin")),
    ...pathFolders
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

/** Runs one statement on a connection of its own. */
export const execute = (url: Redacted.Redacted, statement: string) =>
  Effect.scoped(Effect.flatMap(PgConnection.make({ url }), (connection) => connection.query(statement)))

/** The URL of another database of a server. */
export const urlOf = (server: Redacted.Redacted, name: string) => {
  const url = new URL(Redacted.value(server))
  url.pathname = `/${name}`
  return Redacted.make(url.href)
}

/** Makes a database with all tables. Tests get copies of it: a copy takes a fifth of the time of the migrations. */
export const makeTemplate = Effect.fnUntraced(function*(server: Redacted.Redacted) {
  const name = `fastagentic_template_${process.pid}_${Date.now()}`
  yield* execute(server, `CREATE DATABASE ${name}`)
  const client = PgClient.layer({ url: urlOf(server, name) })
  yield* Effect.scoped(Layer.build(Layer.provide(migrations.layer, client)))
  return name
})

/** A server that can be stopped and started again: `SIGINT` closes its connections, `SIGQUIT` leaves them to be recovered from. */
export class Server extends ServerProcess<"SIGINT" | "SIGQUIT"> {
  readonly url: Redacted.Redacted
  private readonly port: number

  private constructor(data: string, port: number) {
    super(data, "SIGQUIT")
    this.port = port
    this.url = Redacted.make(`postgres://postgres@127.0.0.1:${port}/postgres`)
  }

  get data(): string {
    return this.folder
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
      "full_page_writes=off",
      "autovacuum=off",
      "unix_socket_directories=",
      "listen_addresses=127.0.0.1",
      "max_connections=300"
    ]
    const flags = settings.flatMap((setting) => ["-c", setting])
    this.runsIn(spawn(join(folder ?? "", "postgres"), ["-D", this.data, "-p", `${this.port}`, ...flags], {
      ...identity(),
      cwd: this.data,
      stdio: "ignore"
    }))
    await Effect.runPromise(
      Effect.retry(execute(this.url, "SELECT 1"), { schedule: Schedule.spaced("50 millis"), times: 400 })
    )
  }
}
