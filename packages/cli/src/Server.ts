/**
 * Serves an app on a port: REST, SSE, WebSocket, MCP and A2A over one HTTP server.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type { App, Fusion, RunError, Runtime } from "@fastagentic/core"
import { Timings } from "@fastagentic/core"
import { GrpcServer } from "@fastagentic/protocols/a2a"
import { Mount } from "@fastagentic/protocols/mount"
import { Context, Duration, Effect, Layer, Option, Schema } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as NodeServer from "./internal/nodeServer.ts"
import * as UnhandledRejections from "./internal/unhandledRejections.ts"

/** The address is not available. @category errors @since 0.1.0 */
export class PortInUse extends Schema.TaggedError<PortInUse>()("PortInUse", {
  host: Schema.String,
  port: Schema.Int,
  code: Schema.String
}) {
  override get message() {
    return this.code === "EADDRINUSE"
      ? `port ${this.port} on ${this.host} is in use`
      : `cannot listen on ${this.host}:${this.port} (${this.code})`
  }
}

/** @category models @since 0.1.0 */
export interface Options extends Mount.Options {
  /** Default `127.0.0.1`. */
  readonly host?: string
  /** Default 8000; 0 takes a free one. */
  readonly port?: number
}

/**
 * Serves an app: a mount on a server of its own. When the scope closes, streams end with a retry hint, runs stop at their
 * last commit, then the port is closed.
 *
 * A `GrpcServer` without a port of its own is served on this port.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <A extends App.Any>(app: A, options: Options = {}): Layer.Layer<
  Runtime.Runtime | HttpServer.HttpServer,
  Fusion.FusionError | RunError.StoreUnavailable | PortInUse | Mount.InvalidMount | Mount.InsecureBind,
  App.Handlers<A> | Mount.Requirements
> => {
  const { host = "127.0.0.1", port = 8_000, ...mounted } = options
  const { bodyLimit = Mount.defaultBodyLimit, bodyTimeout = Timings.bodyMillis, grace = Timings.graceMillis } = mounted
  const served = HttpRouter.serve(Mount.layer(app, mounted), { disableLogger: true, disableListenLog: true })
  // cast: HttpRouter.serve separates requirements by conditional types, which stay open for the handlers of any app.
  const whole = withRoom(served as Served<A>).pipe(
    Layer.provideMerge(listen(host, port, { grace, bodyBytes: bodyLimit, bodyTimeout }))
  )
  return Layer.provideMerge(UnhandledRejections.layer, whole)
}

/** How many services a request adds to those of the server before all of them are copied: more than the routes add. */
const additions = 16

const withRoom = <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Layer.fromBuild((memoMap, scope) =>
    Effect.updateContext(
      Layer.buildWithMemoMap(layer, memoMap, scope),
      (context: Context.Context<R>) => Context.makeUnsafe<R>(context.mapUnsafe, { maxDepth: additions })
    )
  )

type Served<A extends App.Any> = Layer.Layer<
  Layer.Success<ReturnType<typeof Mount.layer<A>>>,
  Layer.Error<ReturnType<typeof Mount.layer<A>>>,
  HttpServer.HttpServer | App.Handlers<A> | Mount.Requirements
>

const listen = (
  host: string,
  port: number,
  { bodyBytes, bodyTimeout, grace }: {
    readonly bodyBytes: number
    readonly bodyTimeout: Duration.Input
    readonly grace: Duration.Input
  }
) =>
  Layer.unwrap(Effect.map(Effect.serviceOption(GrpcServer.GrpcServer), (grpc) =>
    NodeHttpServer.layer(
      () =>
        NodeServer.make(
          { ...Timings, bodyMillis: Duration.toMillis(Duration.fromInputUnsafe(bodyTimeout)) },
          Option.isSome(grpc) && grpc.value.port === undefined ? grpc.value.accept : undefined
        ),
      {
        host,
        port,
        gracefulShutdownTimeout: grace,
        // The route refuses frames over the limit; this only limits what a socket buffers before it is closed.
        websocket: { maxPayload: 4 * bodyBytes }
      }
    ))).pipe(
      Layer.catchTag("ServeError", ({ cause }) =>
        Layer.effectContext<HttpServer.HttpServer, PortInUse, never>(
          Effect.fail(new PortInUse({ host, port, code: codeOf(cause) }))
        ))
    )

const codeOf = (cause: unknown) =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : "unknown"
