// The WebSocket under a connection of effect/rpc, with the limits that every WebSocket of the server has: frames of bounded
// size, a bounded number of unsent bytes, a heartbeat. The library's protocol reads and writes through it.
import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Socket from "effect/socket/Socket"
import * as SocketWriter from "../http/SocketWriter.ts"

const tooLarge = new SocketWriter.SocketClose({ code: 1009, reason: "the frame is over the limit" })

/** A pong that was not asked for says that the server lives. */
const heartbeat = `${JSON.stringify({ _tag: "Pong" })}\n`

const encoder = new TextEncoder()

const sizeOf = (frame: Uint8Array | string) =>
  typeof frame === "string" ? encoder.encode(frame).byteLength : frame.byteLength

export interface Bounded {
  /** The request, whose upgrade gives the bounded socket. */
  readonly request: HttpServerRequest
  readonly close: (ending: SocketWriter.SocketClose) => Effect.Effect<void>
  readonly beat: Effect.Effect<void, Socket.SocketError>
}

/** `end` is called with the reason for which the connection must end; the call that finds it does not come back. */
export const bounded = (
  request: HttpServerRequest,
  limits: SocketWriter.Limits,
  end: (ending: SocketWriter.SocketClose) => Effect.Effect<never>
): Bounded => {
  let open: { readonly writer: Socket.Writer; readonly limited: SocketWriter.SocketWriter } | undefined
  const drained = Effect.suspend(() =>
    open === undefined ? Effect.void : Effect.catchTag(open.limited.drained, "SocketClose", end)
  )
  const wrap = (socket: Socket.Socket): Socket.Socket => ({
    ...socket,
    writer: Effect.map(socket.writer, (writer): Socket.Writer => {
      open = { writer, limited: SocketWriter.make(writer, request, limits) }
      return {
        write: (chunk) => Effect.andThen(drained, writer.write(chunk)),
        writeAll: (chunks) => Effect.andThen(drained, writer.writeAll(chunks))
      }
    }),
    reader: Effect.map(socket.reader, ({ pull, upgrade }): Socket.Reader => ({
      upgrade,
      pull: Effect.andThen(drained, pull).pipe(
        Effect.flatMap((frames) =>
          frames.some((frame) => sizeOf(frame) > limits.frameBytes) ? end(tooLarge) : Effect.succeed(frames)
        )
      )
    }))
  })
  return {
    request: Object.create(request, { upgrade: { value: Effect.map(request.upgrade, wrap) } }),
    close: ({ code, reason }) =>
      open === undefined ? Effect.void : Effect.ignore(open.writer.write(new Socket.CloseEvent(code, reason))),
    beat: Effect.suspend(() => open === undefined ? Effect.void : open.limited.idle(open.writer.write(heartbeat)))
  }
}
