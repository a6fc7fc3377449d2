// Redis server processes of the tests. The services of a test run start one that all files share; a test that stops its
// server starts another.
import { Redacted } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { freePort, programInPath, ServerProcess } from "../serverProcess.ts"

const binary = programInPath("redis-server")

export const isInstalled = binary !== undefined

export const noServer = "there is no redis-server in PATH"

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
export class Server extends ServerProcess<"SIGTERM" | "SIGKILL"> {
  readonly url: Redacted.Redacted
  private readonly port: number
  private readonly settings: ReadonlyArray<string>

  private constructor(folder: string, port: number, settings: ReadonlyArray<string>) {
    super(folder, "SIGKILL")
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
    this.runsIn(child)
    while (!(await answers(this.port))) {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`)
      await setTimeout(20)
    }
  }
}
