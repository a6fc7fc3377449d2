/**
 * A2A over gRPC: without this server, it is served over HTTP alone. It needs `@grpc/grpc-js` and `@bufbuild/protobuf`.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Schema, type Scope } from "effect"
import { createServer, type Server, type Socket } from "node:net"
import type { PublicAddress } from "../internal/publicAddress.ts"
import type { RequestLimits } from "../internal/requestLimits.ts"
import type { GrpcHandler } from "./A2aGrpc.ts"
import * as GrpcLibrary from "./grpc/library.ts"
import * as Serving from "./grpc/serving.ts"

/** gRPC cannot be served: a package is missing, or the address is not available. @category errors @since 0.1.0 */
export class GrpcUnavailable extends Schema.TaggedError<GrpcUnavailable>()("GrpcUnavailable", {
  reason: Schema.String
}) {
  override get message() {
    return `gRPC cannot be served: ${this.reason}`
  }
}

/** @category options @since 0.1.0 */
export interface Options {
  /** Default `127.0.0.1`. */
  readonly host?: string | undefined
  /** A port of its own, 0 for a free one; without it, connections come from another server, see `accept`. */
  readonly port?: number | undefined
  /** The host and port by which clients reach it, for the cards; by default the host of the app and this port. */
  readonly url?: string | undefined
}

/**
 * Accepts connections of gRPC, and answers them once A2A is mounted.
 *
 * @category services
 * @since 0.1.0
 */
export class GrpcServer extends Context.Service<GrpcServer, {
  /** The host and port that it listens on; absent when connections come from another server. */
  readonly host: string | undefined
  readonly port: number | undefined
  /** Its address for clients that reach the app at this address. */
  readonly urlOf: (address: PublicAddress) => string
  /** Takes over a connection that speaks HTTP/2. */
  readonly accept: (socket: Socket) => void
  /** Answers calls until the scope closes. */
  readonly serve: (options: {
    readonly handler: GrpcHandler
    readonly limits: RequestLimits
    /** Ends open streams; called when the server that hands connections over stops. */
    readonly drain: Effect.Effect<void>
  }) => Effect.Effect<void, never, Scope.Scope>
}>()("@fastagentic/protocols/a2a/GrpcServer") {
  /** @since 0.1.0 */
  static readonly layer = (options: Options = {}): Layer.Layer<GrpcServer, GrpcUnavailable> =>
    Layer.effect(GrpcServer, make(options))
}

const make = Effect.fnUntraced(function*({ host = "127.0.0.1", port, url }: Options) {
  const { codec, grpc } = yield* Effect.mapError(
    GrpcLibrary.load,
    (name) => new GrpcUnavailable({ reason: `install @grpc/grpc-js and @bufbuild/protobuf; ${name} cannot be loaded` })
  )
  let take: ((socket: Socket) => void) | undefined
  const accept = (socket: Socket) => take === undefined ? socket.destroy() : take(socket)
  const own = port === undefined ? undefined : yield* listen(host, port, accept)
  return GrpcServer.of({
    host: own === undefined ? undefined : host,
    port: own,
    urlOf: ({ origin }) => url ?? addressOf(new URL(origin), own),
    accept,
    serve: Effect.fnUntraced(function*(options) {
      take = yield* Serving.make({ ...options, grpc, codec })
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          take = undefined
        })
      )
    })
  })
})

const addressOf = ({ hostname, port, protocol }: URL, own: number | undefined) =>
  `${hostname}:${own ?? (port === "" ? protocol === "https:" ? 443 : 80 : port)}`

/** Listens until the scope closes, and gives the port. */
const listen = (host: string, port: number, accept: (socket: Socket) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Server, GrpcUnavailable>((resume) => {
        const server = createServer(accept)
        const refuse = (error: NodeJS.ErrnoException) =>
          resume(Effect.fail(new GrpcUnavailable({ reason: `cannot listen on ${host}:${port} (${error.code})` })))
        server.once("error", refuse)
        server.listen({ host, port }, () => {
          server.off("error", refuse)
          resume(Effect.succeed(server))
        })
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => {
      const address = server.address()
      return typeof address === "object" && address !== null ? address.port : port
    }
  )
