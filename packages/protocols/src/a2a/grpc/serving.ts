// Carries calls of gRPC to their handler on connections that others accept. Each method is served as a stream in both directions,
// which is the same on the wire: so a caller is checked before its message is read, and one way of answering serves all.
import { internalMessage } from "@fastagentic/core/run/RunError"
import type { sendUnaryData, ServerDuplexStream, ServiceDefinition, StatusObject } from "@grpc/grpc-js"
import { Cause, Effect, Exit, FiberSet, Option, type Scope, Stream } from "effect"
import { once } from "node:events"
import { Server, type Socket } from "node:net"
import type { RequestLimits } from "../../internal/requestLimits.ts"
import * as A2aError from "../A2aError.ts"
import type { GrpcHandler, GrpcRefusal } from "../A2aGrpc.ts"
import type { Codec, Method } from "./codec.ts"

type Library = typeof import("@grpc/grpc-js")
type Call = ServerDuplexStream<Uint8Array, Uint8Array>

/** How long calls have to send their status when the server stops. */
const graceMillis = 1_000

/** The function that takes over a connection; the calls on it end with the scope. */
export const make = Effect.fnUntraced(function*({ codec, drain, grpc, handler, limits }: {
  readonly grpc: Library
  readonly codec: Codec
  readonly handler: GrpcHandler
  readonly limits: RequestLimits
  /** Ends the streams of all protocols. */
  readonly drain: Effect.Effect<void>
}): Effect.fn.Return<(socket: Socket) => void, never, Scope.Scope> {
  const server = new grpc.Server({
    "grpc.max_receive_message_length": limits.bodyBytes,
    "grpc.max_send_message_length": -1,
    "grpc.enable_channelz": 0,
    // Peers that are gone without a word would hold their streams.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 20_000
  })
  const sockets = new Set<Socket>()
  // Once: a second one would find all sessions closing, and cut them off before their calls have sent a status.
  const shutdown = yield* Effect.cached(Effect.uninterruptible(Effect.callback<void>((resume) => {
    const cut = () => {
      for (const socket of sockets) socket.destroy()
    }
    const timer = setTimeout(cut, graceMillis)
    // A connection has ended once the status of its last call is sent, which may be after the answer here.
    server.tryShutdown(() => {
      const closed = [...sockets].map((socket) => once(socket, "close"))
      void Promise.allSettled(closed).then(() => {
        clearTimeout(timer)
        resume(Effect.void)
      })
    })
  })))
  yield* Effect.addFinalizer(() => shutdown)
  const scope = yield* Effect.scope
  // The fibers are interrupted before the finalizer above runs, and send their status then.
  const run = yield* FiberSet.makeRuntime<never, void>()

  const metadataOf = (headers: Readonly<Record<string, string>>) => {
    const metadata = new grpc.Metadata()
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
    return metadata
  }

  const refuse = (call: Call, { details, headers, message, status }: GrpcRefusal) => {
    const code = grpc.status[status]
    const metadata = metadataOf(headers)
    metadata.set("grpc-status-details-bin", Buffer.from(codec.status({ code, message, details })))
    const refusal: StatusObject = { code, details: message, metadata }
    call.emit("error", refusal)
  }

  const serve = ({ name, path, read, version, write }: Method) => (call: Call) => {
    const headers: Record<string, string> = {}
    for (const name of Object.keys(call.metadata.getMap())) {
      // A name that comes twice has all its values, as in HTTP: the entrance looks at each.
      if (!name.endsWith("-bin")) headers[name] = call.metadata.get(name).join(", ")
    }
    headers["host"] = call.getHost()
    const send = (json: unknown) => written(call, write(json))
    const answered = Effect.gen(function*() {
      const reply = yield* handler({
        version,
        name,
        path,
        headers,
        peer: peerOf(call.getPeer()),
        read: Effect.flatMap(messageOf(call, limits), (bytes) =>
          Effect.try({
            try: () => read(bytes),
            catch: () => A2aError.parseError("the message cannot be read")
          }))
      })
      call.sendMetadata(metadataOf(reply.headers))
      if (reply._tag === "Answer") yield* send(reply.json)
      else yield* Stream.runForEach(reply.updates, (page) => Effect.forEach(page, send, { discard: true }))
      call.end()
    })
    const fiber = run(Effect.ignoreCause(Effect.onExit(answered, (exit) => {
      if (Exit.isSuccess(exit)) return Effect.void
      const refusal = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
      if (refusal !== undefined) return Effect.sync(() => refuse(call, refusal))
      if (Cause.hasInterruptsOnly(exit.cause)) return Effect.sync(() => refuse(call, stopped))
      return Effect.andThen(
        Effect.logError("A gRPC call failed unexpectedly", exit.cause),
        Effect.sync(() => refuse(call, failed))
      )
    })))
    call.once("cancelled", () => fiber.interruptUnsafe())
  }

  const definition: Record<string, ServiceDefinition[string]> = {}
  const handlers: Record<string, (call: Call, callback?: sendUnaryData<Uint8Array>) => void> = {}
  const bytes = (message: Uint8Array) => Buffer.from(message.buffer, message.byteOffset, message.byteLength)
  for (const method of codec.methods) {
    const { path } = method
    definition[path] = {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: bytes,
      requestDeserialize: (message) => message,
      responseSerialize: bytes,
      responseDeserialize: (message) => message
    }
    handlers[path] = serve(method)
  }
  server.addService(definition, handlers)
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure())
  let isWatched = false
  return (socket) => {
    // A server of HTTP that stops waits for its connections, also for those that were taken over from it.
    if (!isWatched && "server" in socket && socket.server instanceof Server) {
      const { server } = socket
      isWatched = true
      Effect.runFork(
        Effect.sleep("100 millis").pipe(
          Effect.repeat({ while: () => server.listening }),
          Effect.andThen(drain),
          Effect.andThen(shutdown),
          Effect.forkIn(scope)
        )
      )
    }
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
    // A connection that is reset ends its session, which ends its calls.
    socket.on("error", () => {})
    injector.injectConnection(socket)
  }
})

const stopped: GrpcRefusal = { status: "UNAVAILABLE", message: "the server stops", details: [], headers: {} }
const failed: GrpcRefusal = { status: "INTERNAL", message: internalMessage, details: [], headers: {} }

/** The only message of a call. */
const messageOf = (call: Call, { bodyMillis }: RequestLimits): Effect.Effect<Uint8Array, A2aError.A2aError> =>
  Effect.callback<Uint8Array, A2aError.A2aError>((resume) => {
    call.once("data", (message: Uint8Array) => resume(Effect.succeed(message)))
    call.once("end", () => resume(Effect.fail(A2aError.parseError("the call has no message"))))
  }).pipe(
    Effect.timeout(bodyMillis),
    Effect.catchTag(
      "TimeoutError",
      () => Effect.fail(A2aError.bodyTooSlow(`the message did not arrive within ${bodyMillis} ms`))
    )
  )

/** Waits until the client has room for the message: one that reads slowly slows its own stream down. */
const written = (call: Call, message: Uint8Array): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (call.write(message)) resume(Effect.void)
    else call.once("drain", () => resume(Effect.void))
  })

/** The address without its port. */
const peerOf = (peer: string): string | undefined => /^(.+):\d+$/u.exec(peer)?.[1]
