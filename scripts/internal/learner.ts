// A reader of the tutorial, for scripts/tutorial.ts: has a folder, a shell, at most one server in a terminal of its own, and
// remembers the names that answers gave. Everything that it has started ends with stop().
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { freePort } from "./freePort.ts"
import { type Part, patternOf } from "./lesson.ts"

/** The ports that the tutorial uses. */
const ports = [8000, 8001, 8002, 8003]

const isServer = (command: string) => /^(?:npm run dev|npx fastagentic run )[^&]*$/u.test(command)

export class Learner {
  readonly #env: NodeJS.ProcessEnv
  readonly #ports: ReadonlyMap<string, string>
  readonly #folder: string
  readonly #tarballs: ReadonlyArray<string>
  readonly #names = new Map<string, string>()
  readonly #groups = new Set<number>()
  #home: string
  #page = ""
  #server: ChildProcess | undefined
  #starts = 0
  #printed = ""

  private constructor(
    folder: string,
    tarballs: ReadonlyArray<string>,
    database: string,
    free: ReadonlyMap<string, string>
  ) {
    this.#folder = folder
    this.#home = folder
    this.#tarballs = tarballs
    this.#ports = free
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("npm_"))
    this.#env = {
      ...Object.fromEntries(inherited),
      CI: "true",
      PORT: free.get("8000"),
      FASTAGENTIC_URL: `http://127.0.0.1:${free.get("8000")}`,
      DATABASE_URL: database
    }
  }

  static async make(folder: string, tarballs: ReadonlyArray<string>, database: string): Promise<Learner> {
    const free = new Map<string, string>()
    for (const port of ports) free.set(String(port), String(await freePort()))
    return new Learner(folder, tarballs, database, free)
  }

  async follow(part: Part, page: string): Promise<void> {
    if (page !== this.#page) this.#names.clear()
    this.#page = page
    if (part.kind === "stop") return this.#end()
    if (part.kind === "file") return this.#save(part.path, part.text)
    if (part.kind === "answer") return this.#compare(part.text, page)
    const command = this.#replaced(part.text.trim())
    if (command.startsWith("npx fastagentic new ")) return this.#create(command)
    // A database of Docker: the reader has one already.
    if (command.startsWith("docker ")) return
    this.#printed = isServer(command) ? await this.#serve(command) : await this.#run(command, page)
  }

  async stop(): Promise<void> {
    await this.#end()
    for (const group of this.#groups) {
      try {
        process.kill(-group, "SIGKILL")
      } catch {
        // All of the group have ended.
      }
    }
  }

  #replaced(text: string): string {
    const named = text.replace(/<(\w+)>/gu, (whole, name) => this.#names.get(name) ?? whole)
    return named.replace(/\b800[0-3]\b/gu, (port) => this.#ports.get(port) ?? port)
  }

  /** A server that watches its files starts again; the reader waits until it has. */
  async #save(path: string, text: string): Promise<void> {
    const before = this.#starts
    mkdirSync(dirname(join(this.#home, path)), { recursive: true })
    writeFileSync(join(this.#home, path), text)
    if (this.#server !== undefined && path === "src/app.ts") await this.#started(before)
  }

  /** The published command does not exist yet: the packed one makes the app, and its packages come from the tarballs. */
  async #create(command: string): Promise<void> {
    await this.#run(
      `npm init -y && npm install --no-audit --no-fund --prefer-offline ${this.#tarballs.join(" ")} effect`,
      ""
    )
    await this.#run(command, "")
    this.#home = join(this.#folder, command.split(" ").at(-1) ?? "")
    await this.#run(`npm install --no-audit --no-fund --prefer-offline ${this.#tarballs.join(" ")}`, "")
  }

  #spawned(command: string): ChildProcess {
    const child = spawn("sh", ["-c", command], {
      cwd: this.#home,
      env: this.#env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"]
    })
    if (child.pid !== undefined) this.#groups.add(child.pid)
    return child
  }

  async #run(command: string, page: string): Promise<string> {
    const child = this.#spawned(command)
    let out = ""
    let all = ""
    child.stdout?.on("data", (chunk) => {
      out += chunk
      all += chunk
    })
    child.stderr?.on("data", (chunk) => all += chunk)
    const [code] = await once(child, "close")
    if (code !== 0) throw new Error(`tutorial: ${page}: "${command}" ends with ${code}: ${all}`)
    return out
  }

  async #serve(command: string): Promise<string> {
    await this.#end()
    const before = this.#starts
    this.#server = this.#spawned(command)
    const seen = (chunk: Buffer) => {
      this.#printed += chunk
      this.#starts += chunk.toString().match(/answers on http/gu)?.length ?? 0
    }
    this.#printed = ""
    this.#server.stdout?.on("data", seen)
    this.#server.stderr?.on("data", seen)
    await this.#started(before)
    return ""
  }

  async #started(before: number): Promise<void> {
    for (const deadline = performance.now() + 30_000; this.#starts === before; await sleep(50)) {
      if (performance.now() > deadline || this.#server?.exitCode !== null || this.#server.signalCode !== null) {
        throw new Error(`tutorial: the server does not start: ${this.#printed}`)
      }
    }
  }

  /** Ctrl+C in the terminal of the server, if one runs there. */
  async #end(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server?.pid === undefined || server.exitCode !== null || server.signalCode !== null) return
    const closed = once(server, "close")
    process.kill(-server.pid, "SIGINT")
    await closed
  }

  #compare(answer: string, page: string): void {
    const found = patternOf(answer, this.#names).exec(this.#printed.trim())
    if (found === null) throw new Error(`tutorial: ${page} shows ${answer.trim()}, and this came: ${this.#printed}`)
    for (const [name, value] of Object.entries(found.groups ?? {})) this.#names.set(name, value)
  }
}
