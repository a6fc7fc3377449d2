// Redis server processes of the tests. The services of a test run start one that all files share; a test that stops its
// server starts another.
import { Redacted } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { setTimeout } from "node:timers/promises"

const binary = (process.env["PATH"] ?? "").split(delimiter)
  .map((folder) => join(folder, "redis-server"))
  .find((file) => existsSync(file))

export const isInstalled = binary !== undefined

export const noServer = "there is no redis-server in PATH"

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

  /** Stops the server when the process that started it exits: nothing can be awaited then. */
  abandon(): void {
    this.child?.kill("SIGKILL")
  }

  async remove(): Promise<void> {
    await this.stop("SIGKILL")
    rmSync(this.folder, { recursive: true, force: true })
  }
}
