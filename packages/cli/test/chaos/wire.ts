// A TCP proxy between a node and its store that can fail as a network does: it is cut, goes away, loses requests before the
// store has seen them, loses answers after the store has committed, or stalls. The faults of the stores use it.
import { once } from "node:events"
import { connect, createServer, type Server, type Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import type { Random } from "./random.ts"

/** The loss of a wire for a while; each ends with cut connections, except `stalled`. */
type Loss = "away" | "requests" | "answers" | "stalled"

interface Line {
  readonly near: Socket
  readonly far: Socket
}

export class Wire {
  readonly url: string
  private loss: Loss | undefined
  private readonly lines = new Set<Line>()
  private readonly server: Server

  private constructor(server: Server, url: string) {
    this.server = server
    this.url = url
  }

  /** A wire to the server that the URL names; its own URL names the wire. */
  static async to(target: string): Promise<Wire> {
    const url = new URL(target)
    const port = Number(url.port)
    const server = createServer((near) => wire.open(near, connect(port, url.hostname)))
    await once(server.listen(0, "127.0.0.1"), "listening")
    url.port = String(Object(server.address()).port)
    const wire = new Wire(server, url.href)
    return wire
  }

  private open(near: Socket, far: Socket) {
    const line = { near, far }
    const end = () => {
      this.lines.delete(line)
      near.destroy()
      far.destroy()
    }
    this.lines.add(line)
    for (const socket of [near, far]) socket.setNoDelay(true).once("error", end).once("close", end)
    if (this.loss === "away") return end()
    near.on("data", (bytes) => this.loss === "requests" || far.write(bytes))
    far.on("data", (bytes) => this.loss === "answers" || near.write(bytes))
    if (this.loss === "stalled") stall(line)
  }

  /** Cuts each connection with this probability. */
  cut(random: Random, probability = 1) {
    for (const { near } of this.lines) if (random.next() < probability) near.destroy()
  }

  /** Loses what is sent for so many milliseconds, then works again. */
  async lose(loss: Loss, millis: number, random: Random) {
    this.loss = loss
    if (loss === "away") this.cut(random)
    if (loss === "stalled") this.lines.forEach(stall)
    await sleep(millis)
    this.loss = undefined
    // A stream that has lost bytes cannot be continued.
    if (loss === "stalled") this.lines.forEach(flow)
    else this.cut(random)
  }

  async close() {
    this.server.close()
    for (const { near } of this.lines) near.destroy()
    await once(this.server, "close")
  }
}

const stall = ({ far, near }: Line) => {
  near.pause()
  far.pause()
}

const flow = ({ far, near }: Line) => {
  near.resume()
  far.resume()
}
