// The sending side of a WebSocket, which holds a bounded number of bytes for a client that does not read.
import * as Timings from "@fastagentic/core/base/Timings"
import { Context, Duration, Effect, Schema } from "effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Socket from "effect/socket/Socket"
import type { ServerFrame } from "./SocketFrames.ts"

/**
 * The limits of a connection.
 *
 * Sending pauses above `bufferedBytes` of unsent data; a client that reads nothing for `drainTimeout` is disconnected.
 */
export interface Limits {
  readonly frameBytes: number
  readonly followedRuns: number
  readonly bufferedBytes: number
  readonly drainTimeout: Duration.Input
  readonly heartbeat: Duration.Input
}

/** The limits of every connection; provide another value to change them. */
export const Limits = Context.Reference<Limits>("@fastagentic/protocols/http/SocketWriter/Limits", {
  defaultValue: () => ({
    frameBytes: 1_048_576,
    followedRuns: 64,
    bufferedBytes: 262_144,
    drainTimeout: Timings.socketDrainMillis,
    heartbeat: Timings.heartbeatMillis
  })
})

/** The server ends the connection with this close code and reason. */
export class SocketClose extends Schema.TaggedError<SocketClose>()("SocketClose", {
  code: Schema.Int,
  reason: Schema.String,
  retryMillis: Schema.optionalKey(Schema.Int)
}) {}

/** The server shuts down. */
export const goingAway = new SocketClose({ code: 1001, reason: "the server is going away", retryMillis: 1_000 })

/** The credentials that opened the connection are not valid any more: 3000 is the registered code for it. */
export const notAuthenticated = new SocketClose({ code: 3000, reason: "the credentials have expired or were revoked" })

const tooSlow = new SocketClose({ code: 1013, reason: "the client does not read; come back with after" })

export interface SocketWriter {
  /** Waits while more than `bufferedBytes` are unsent. */
  readonly drained: Effect.Effect<void, SocketClose>
  /** Waits as `drained` does, then sends. */
  readonly send: (frame: ServerFrame) => Effect.Effect<void, SocketClose | Socket.SocketError>
  /** Works unless data is still unsent. */
  readonly idle: (work: Effect.Effect<void, Socket.SocketError>) => Effect.Effect<void, Socket.SocketError>
  /** Sends a heartbeat unless other data is still unsent. */
  readonly beat: Effect.Effect<void, Socket.SocketError>
  readonly close: (ending: SocketClose) => Effect.Effect<void>
}

const pollInterval = 20

export const make = (
  writer: Socket.Writer,
  request: HttpServerRequest.HttpServerRequest,
  limits: Limits
): SocketWriter => {
  const unsent = unsentBytes(request)
  const waitLimitMillis = Duration.toMillis(limits.drainTimeout)
  const write = (frame: ServerFrame) => writer.write(JSON.stringify(frame))

  const drain = Effect.fnUntraced(function*() {
    let least = unsent()
    let waited = 0
    while (unsent() > limits.bufferedBytes) {
      if (waited >= waitLimitMillis) return yield* tooSlow
      yield* Effect.sleep(pollInterval)
      waited = unsent() < least ? 0 : waited + pollInterval
      least = Math.min(least, unsent())
    }
  })
  const idle: SocketWriter["idle"] = (work) => Effect.suspend(() => unsent() > 0 ? Effect.void : work)
  const drained = Effect.suspend(() => unsent() > limits.bufferedBytes ? drain() : Effect.void)

  return {
    drained,
    send: (frame) => Effect.andThen(drained, Effect.suspend(() => write(frame))),
    idle,
    beat: idle(Effect.suspend(() => write({ type: "heartbeat" }))),
    close: ({ code, reason, retryMillis }) =>
      Effect.ignore(Effect.andThen(
        retryMillis === undefined ? Effect.void : write({ type: "closing", retryMillis }),
        writer.write(new Socket.CloseEvent(code, reason))
      ))
  }
}

/** The unsent bytes of the connection under a request of Node.js; other platforms do not report them, so they count as 0. */
const unsentBytes = ({ source }: HttpServerRequest.HttpServerRequest): () => number => {
  const socket = "socket" in source ? source.socket : undefined
  return typeof socket === "object" && socket !== null && "writableLength" in socket
    ? () => typeof socket.writableLength === "number" ? socket.writableLength : 0
    : () => 0
}
