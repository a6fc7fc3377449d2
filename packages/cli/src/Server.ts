/**
 * Serves an app on a port: REST, SSE, WebSocket, MCP and A2A over one HTTP server.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type { App, Audit, Budget, Fusion, RateLimit, RunError, RunStore } from "@fastagentic/core"
import { Auth, Runtime, Timings } from "@fastagentic/core"
import { A2aProtocol } from "@fastagentic/protocols/a2a"
import { HttpProtocol, WebSocketRoute } from "@fastagentic/protocols/http"
import { McpProtocol } from "@fastagentic/protocols/mcp"
import { Duration, Effect, Layer, Schema } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import { createServer } from "node:http"
import * as LocalGuard from "./LocalGuard.ts"

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

/** A server without authentication must listen on loopback. @category errors @since 0.1.0 */
export class InsecureBind extends Schema.TaggedError<InsecureBind>()("InsecureBind", { host: Schema.String }) {
  override get message() {
    return `without an auth layer the server binds to a loopback address only, not to ${this.host}`
  }
}

/** @category models @since 0.1.0 */
export interface Options {
  /** Default `127.0.0.1`. */
  readonly host?: string
  /** Default 8000; 0 takes a free one. */
  readonly port?: number
  /** How long runs and connections have to end when the server stops, 5 seconds by default. */
  readonly grace?: Duration.Input
  /** The largest body of a request and frame of a WebSocket, in bytes; 1 MiB by default. */
  readonly bodyLimit?: number
  /** How long a `POST` waits for its run before it answers 202 with the run; without a limit by default. */
  readonly wait?: Duration.Input
}

/** The services of a server besides its app's handlers. @category models @since 0.1.0 */
export type Requirements = RunStore.RunStore | Auth.Auth | RateLimit.RateLimit | Budget.Budget | Audit.Audit

/**
 * Serves an app. When the scope closes, streams end with a retry hint, runs stop at their last commit, then the port is
 * closed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <A extends App.Any>(app: A, options: Options = {}): Layer.Layer<
  Runtime.Runtime | HttpServer.HttpServer,
  Fusion.FusionError | RunError.StoreUnavailable | PortInUse | InsecureBind,
  App.Handlers<A> | Requirements
> => {
  const host = options.host ?? "127.0.0.1"
  const port = options.port ?? 8_000
  const { bodyLimit: bodyBytes = 1_048_576, grace = Timings.graceMillis, wait = Infinity } = options
  const limits = { bodyBytes, waitMillis: Duration.toMillis(Duration.fromInputUnsafe(wait)) }
  const frames = Layer.effect(
    WebSocketRoute.Limits,
    Effect.map(WebSocketRoute.Limits, (limits) => ({ ...limits, frameBytes: bodyBytes }))
  )
  const routes = Layer.mergeAll(HttpProtocol.layer, McpProtocol.layer(), A2aProtocol.layer()).pipe(
    Layer.provide([Layer.succeed(HttpProtocol.Limits, limits), frames])
  )
  return drainFirst.pipe(
    Layer.provideMerge(
      HttpRouter.serve(Layer.merge(routes, LocalGuard.layer), { disableLogger: true, disableListenLog: true })
    ),
    Layer.provideMerge(listen(host, port, { grace, bodyBytes })),
    Layer.provideMerge(requireLoopback(host)),
    Layer.provideMerge(Runtime.layer(app, { grace }))
  )
}

/** Built last, so its finalizer is the first to run: streams end before the server waits for them. */
const drainFirst = Layer.effectDiscard(
  Effect.flatMap(Runtime.Runtime, (runtime) => Effect.addFinalizer(() => runtime.drain))
)

const listen = (
  host: string,
  port: number,
  { bodyBytes, grace }: { readonly bodyBytes: number; readonly grace: Duration.Input }
) =>
  NodeHttpServer.layer(() => createServer(), {
    host,
    port,
    gracefulShutdownTimeout: grace,
    // The route refuses frames over the limit; this only limits what a socket buffers before it is closed.
    websocket: { maxPayload: 4 * bodyBytes }
  }).pipe(
    Layer.catchTag("ServeError", ({ cause }) =>
      Layer.effectContext<HttpServer.HttpServer, PortInUse, never>(
        Effect.fail(new PortInUse({ host, port, code: codeOf(cause) }))
      ))
  )

const codeOf = (cause: unknown) =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : "unknown"

const requireLoopback = (host: string) =>
  Layer.effectDiscard(
    Effect.flatMap(Auth.Auth, (auth) =>
      auth.open && !LocalGuard.isLoopback(host) ? Effect.fail(new InsecureBind({ host })) : Effect.void)
  )
