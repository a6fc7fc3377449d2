// Drains the runtime when the Node.js server under a request stops listening, so that open streams end before the server
// waits for them. A mount does not own its server, and the server's scope closes before the mount's.
import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"

/** How often the server is checked, which bounds the delay of a shutdown. */
const interval = "100 millis"

/** Starts the watch at the first request of a Node.js server; one watch is enough for all requests. */
export const makeDrainOnClose = Effect.fnUntraced(function*(drain: Effect.Effect<void>) {
  const scope = yield* Effect.scope
  let isWatching = false
  return (request: HttpServerRequest): Effect.Effect<void> | undefined => {
    if (isWatching) return undefined
    const server = serverOf(request)
    if (server === undefined) return undefined
    isWatching = true
    return Effect.sleep(interval).pipe(
      Effect.repeat({ while: server.isListening }),
      Effect.andThen(drain),
      // Connections become idle when their streams end; the server closes only those that were idle before.
      Effect.andThen(Effect.repeat(Effect.andThen(Effect.sleep(interval), server.closeIdle), { times: 20 })),
      Effect.forkIn(scope),
      Effect.asVoid
    )
  }
})

interface Server {
  readonly isListening: () => boolean
  readonly closeIdle: Effect.Effect<void>
}

/** The server of the request's socket; nothing when the platform does not show it. */
const serverOf = ({ source }: HttpServerRequest): Server | undefined => {
  const socket = "socket" in source ? source.socket : undefined
  const server = typeof socket === "object" && socket !== null && "server" in socket ? socket.server : undefined
  if (typeof server !== "object" || server === null || !("listening" in server)) return undefined
  return {
    isListening: () => server.listening === true,
    closeIdle: Effect.sync(() => {
      if ("closeIdleConnections" in server && typeof server.closeIdleConnections === "function") {
        server.closeIdleConnections()
      }
    })
  }
}
