import { setTimeout as sleep } from "node:timers/promises"
import { fastagentic, fixture, listening, type Running } from "../process.ts"
import type { Random } from "./random.ts"

/** One place for a process of the real server: when one has been killed the next one takes it. */
export class Node {
  url: string | undefined
  stopped = false
  /** The stderr of all processes. */
  stderr = ""
  /** The processes that ended although nobody ended them, with the last that they said. */
  readonly deaths: Array<string> = []
  private running: Running | undefined
  private readonly args: ReadonlyArray<string>
  private readonly env: Record<string, string>

  constructor(app: string, store: string, env: Record<string, string> = {}) {
    this.args = ["run", fixture(app), "--mode", "http", "--port", "0", "--store", store]
    this.env = env
  }

  get pid() {
    return this.running?.child.pid ?? 0
  }

  get exited() {
    return this.running?.exited ?? Promise.resolve(null)
  }

  /** With `more`, only this process has these variables. */
  async start(more: Record<string, string> = {}): Promise<string> {
    const running = fastagentic(this.args, { env: { ...this.env, ...more } })
    running.child.stderr?.on("data", (text: string) => this.stderr += text)
    this.running = running
    this.url = await listening(running)
    void running.exited.then((code) => {
      if (this.running === running) {
        this.deaths.push(`a process ended by itself with ${code}: ${running.stderr().slice(-500)}`)
      }
    })
    return this.url
  }

  /** As `start`, and again when the process ends because its store is away. */
  async startAgain(tries = 30): Promise<void> {
    try {
      await this.start()
    } catch (error) {
      if (tries <= 1) throw error
      await sleep(300)
      await this.startAgain(tries - 1)
    }
  }

  async kill(): Promise<void> {
    this.url = undefined
    this.stopped = false
    await this.end("SIGKILL")
  }

  /** Lets the process end as a deployment does. */
  async stop(): Promise<void> {
    this.url = undefined
    await this.end("SIGTERM")
  }

  private async end(signal: NodeJS.Signals) {
    const { exited, running } = this
    this.running = undefined
    running?.child.kill(signal)
    await exited
  }

  pause() {
    this.stopped = true
    this.running?.child.kill("SIGSTOP")
  }

  go() {
    this.stopped = false
    this.running?.child.kill("SIGCONT")
  }
}

export interface Blows {
  kills: number
  stops: number
  /** The faults of the store. */
  faults: number
}

/** Kills one process after the other until it is interrupted, and starts the next in its place. */
export const kill = async (nodes: ReadonlyArray<Node>, random: Random, blows: Blows, until: () => boolean) => {
  while (!until()) {
    await sleep(random.between(200, 1_200))
    const node = random.pick(nodes.filter(({ stopped, url }) => url !== undefined && !stopped))
    if (node === undefined || until()) continue
    blows.kills++
    await node.kill()
    await sleep(random.between(0, 300))
    await node.startAgain()
  }
}

/** Stops one process after the other for longer than its lease. */
export const stop = async (nodes: ReadonlyArray<Node>, random: Random, blows: Blows, until: () => boolean) => {
  while (!until()) {
    await sleep(random.between(200, 2_000))
    const node = random.pick(nodes.filter(({ url }) => url !== undefined))
    if (node === undefined || until()) continue
    blows.stops++
    node.pause()
    const enough = performance.now() + random.between(3_500, 6_000)
    while (performance.now() < enough && !until()) await sleep(50)
    node.go()
  }
}
