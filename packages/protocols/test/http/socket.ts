import { NodeWS } from "@effect/platform-node"
import type { WebSocketRoute } from "@fastagentic/protocols/http"
import { Effect } from "effect"

/** Frames of the server, undecoded. */
export type Frame = Record<string, unknown> & { readonly type: string; readonly id?: string }

export class TestSocket {
  readonly frames: Array<Frame> = []
  closed: { readonly code: number; readonly reason: string } | undefined
  private readonly waiting = new Set<() => void>()
  readonly ws: NodeWS.WebSocket

  constructor(ws: NodeWS.WebSocket) {
    this.ws = ws
    ws.on("message", (data) => {
      this.frames.push(JSON.parse(String(data)))
      this.wake()
    })
    ws.on("close", (code, reason) => {
      this.closed = { code, reason: String(reason) }
      this.wake()
    })
    ws.on("error", () => {})
  }

  send(frame: WebSocketRoute.ClientFrame) {
    this.ws.send(JSON.stringify(frame))
  }

  private wake() {
    for (const notify of this.waiting) notify()
  }

  /** Waits until the frames seen so far have an answer. */
  until<A>(find: (socket: this) => A | undefined): Effect.Effect<A> {
    return Effect.callback<A>((resume) => {
      const look = () => {
        const found = find(this)
        if (found === undefined) return
        this.waiting.delete(look)
        resume(Effect.succeed(found))
      }
      this.waiting.add(look)
      look()
      return Effect.sync(() => {
        this.waiting.delete(look)
      })
    }).pipe(Effect.timeoutOrElse({
      duration: "10 seconds",
      orElse: () => Effect.die(new Error(`nothing of the kind among ${JSON.stringify(this.frames).slice(0, 2_000)}`))
    }))
  }

  /** The first frame of this type, and of this id when one is given. */
  frame(type: string, id?: string) {
    return this.until((socket) => socket.frames.find((one) => one.type === type && (id === undefined || one.id === id)))
  }

  readonly closing: Effect.Effect<{ readonly code: number; readonly reason: string }> = this.until((socket) =>
    socket.closed
  )

  /** The numbers of the events under an id. */
  seqs(id: string) {
    return this.frames.filter((one) => one.type === "event" && one.id === id).map(({ event }) =>
      typeof event === "object" && event !== null && "seq" in event ? event.seq : undefined
    )
  }
}

/** Opens a WebSocket that is closed with its scope. */
export const connect = (url: string, headers: Record<string, string> = {}) =>
  Effect.acquireRelease(
    Effect.callback<TestSocket, { readonly status: number }>((resume) => {
      const ws = new NodeWS.WebSocket(`${url.replace("http", "ws")}/ws`, { headers })
      const socket = new TestSocket(ws)
      ws.on("open", () => resume(Effect.succeed(socket)))
      ws.on("unexpected-response", (_, response) => resume(Effect.fail({ status: response.statusCode ?? 0 })))
    }),
    ({ ws }) => Effect.sync(() => ws.terminate())
  )

/** The id of the run in a result frame. */
export const runIdIn = (frame: Frame) => String(Object(frame["run"]).runId)
