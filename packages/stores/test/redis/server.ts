/**
 * A Redis for the tests of one file: its own on a free port, or the one that `FASTAGENTIC_TEST_REDIS_URL` names.
 * Without either, tests are skipped, or fail when `FASTAGENTIC_REQUIRE_SERVICES` is 1.
 */
import { afterAll, describe } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { setTimeout } from "node:timers/promises"

const given = process.env["FASTAGENTIC_TEST_REDIS_URL"]
const required = process.env["FASTAGENTIC_REQUIRE_SERVICES"] === "1"

const binary = (process.env["PATH"] ?? "").split(delimiter)
  .map((folder) => join(folder, "redis-server"))
  .find((file) => existsSync(file))
const noServer = "there is no redis-server in PATH"

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  return typeof address === "object" && address !== null ? address.port : 0
}

/** Whether a Redis answers there and has loaded its files. */
const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"))
    socket.once("data", (reply) => {
      socket.destroy()
      resolve(reply.toString().startsWith("+PONG"))
    })
    socket.once("error", () => resolve(false))
  })

/** A server that can be stopped and started again. */
export class Server {
  readonly url: Redacted.Redacted
  private readonly folder: string
  private readonly port: number
  private readonly settings: ReadonlyArray<string>
  private child: ChildProcess | undefined

  private constructor(folder: string, port: number, settings: ReadonlyArray<string>) {
    this.folder = folder
    this.port = port
    this.settings = settings
    this.url = Redacted.make(`redis://127.0.0.1:${port}`)
  }

  static async make(settings: ReadonlyArray<string> = []): Promise<Server> {
    if (binary === undefined) throw new Error(noServer)
    const server = new Server(mkdtempSync(join(tmpdir(), "redis-")), await freePort(), settings)
    await server.start()
    return server
  }

  async start(): Promise<void> {
    const settings = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
    const child = spawn(binary ?? "", ["--port", `${this.port}`, "--dir", this.folder, ...settings, ...this.settings], {
      stdio: "ignore"
    })
    this.child = child
    while (!(await answers(this.port))) {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`)
      await setTimeout(20)
    }
  }

  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const { child } = this
    if (child === undefined) return
    this.child = undefined
    const exited = once(child, "exit")
    child.kill(signal)
    await exited
  }

  async remove(): Promise<void> {
    await this.stop("SIGKILL")
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** A server for one test. */
export const ownServer = (settings?: ReadonlyArray<string>) =>
  Effect.acquireRelease(Effect.promise(() => Server.make(settings)), (server) => Effect.promise(() => server.remove()))

let shared: Promise<Server> | undefined
let prefixes = 0

/** The server of this file, and a unique prefix. */
export const options = Effect.map(
  given === undefined ? Effect.promise(() => shared ??= Server.make()) : Effect.succeed({ url: Redacted.make(given) }),
  ({ url }) => ({ url, prefix: `test-${process.pid}-${Date.now()}-${++prefixes}:` })
)

const describeUnless = (reason: string | undefined, name: string, body: () => void) => {
  if (reason === undefined) return describe(name, body)
  if (required) throw new Error(`${name}: ${reason}`)
  console.warn(`${name} is skipped, ${reason}`)
  describe.skip(name, body)
}

/** Registers tests that need a server. */
export const describeWithServer = (name: string, body: () => void) => {
  describeUnless(
    given === undefined && binary === undefined
      ? "there is neither FASTAGENTIC_TEST_REDIS_URL nor a redis-server in PATH"
      : undefined,
    name,
    body
  )
  afterAll(async () => {
    const started = shared
    shared = undefined
    if (started !== undefined) await (await started).remove()
  })
}

/** Registers tests that stop their server. */
export const describeWithOwnServer = (name: string, body: () => void) =>
  describeUnless(binary === undefined ? noServer : undefined, name, body)
