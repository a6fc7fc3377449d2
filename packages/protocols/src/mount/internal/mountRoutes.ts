// Mounts routes under a prefix of the caller's router behind the guard, CORS and the security headers. Mount uses it for
// the protocols; it is the only way in which they are served.
import { Auth } from "@fastagentic/core/door/Auth"
import * as Caller from "@fastagentic/core/door/Caller"
import { Runtime } from "@fastagentic/core/operations/Runtime"
import { Forbidden } from "@fastagentic/core/run/RunError"
import { Cause, Context, Effect, Layer, Option, Schema, type Scope } from "effect"
import * as Headers from "effect/http/Headers"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import { type HttpServerError, isHttpServerError, type RouteNotFound } from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as NetAddress from "effect/net/NetAddress"
import { GrpcServer } from "../../a2a/GrpcServer.ts"
import * as Problem from "../../http/Problem.ts"
import * as RequestContext from "../../http/RequestContext.ts"
import { Limits as SocketLimits } from "../../http/SocketWriter.ts"
import { type Arrival, type Entered, Entrance } from "../../internal/entrance.ts"
import { PublicAddress } from "../../internal/publicAddress.ts"
import { RequestLimits } from "../../internal/requestLimits.ts"
import { withTrace } from "../../internal/trace.ts"
import type { Options } from "../Mount.ts"
import { type Arriving, hostnameOf, makeAddressOf } from "./addressOf.ts"
import * as Cors from "./cors.ts"
import { makeDrainOnClose } from "./drainOnClose.ts"
import { isLoopbackHost, makeGuard, peerOf, type Rule } from "./guard.ts"
import { insertedPaths } from "./resourceMetadata.ts"
import { withSecurityHeaders } from "./securityHeaders.ts"
import { type InvalidMount, type Settings, settingsOf } from "./settings.ts"

/** A server without authentication must listen on loopback. @category errors @since 0.1.0 */
export class InsecureBind extends Schema.TaggedError<InsecureBind>()("InsecureBind", { host: Schema.String }) {
  override get message() {
    return `without an auth layer the server binds to a loopback address only, not to ${this.host}`
  }
}

type Routes<E, R> = Layer.Layer<never, E, R | HttpRouter.HttpRouter>

/** The checked options of a mount and the guard that they make. */
export interface Prepared {
  readonly settings: Settings
  readonly guard: ReturnType<typeof makeGuard>
}

/** Checks the options, and that an app without an auth layer listens on loopback. */
export const prepare = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Prepared, InvalidMount | InsecureBind, Auth> {
  const settings = yield* settingsOf(options)
  const { open } = yield* Auth
  const onLoopback = yield* listensOnLoopback(open)
  const grpc = Option.getOrUndefined(yield* Effect.serviceOption(GrpcServer))
  if (open && grpc?.host !== undefined && !isLoopbackHost(grpc.host)) {
    return yield* new InsecureBind({ host: grpc.host })
  }
  const acceptsUnknownPeers = options.guards?.unknownPeers === "accept"
  return { settings, guard: makeGuard({ settings, open, onLoopback, acceptsUnknownPeers }) }
})

/** Checks the options and mounts the routes. */
export const mountRoutes = <E, R>(routes: Routes<E, R>, options: Options = {}) =>
  Layer.unwrap(Effect.map(prepare(options), (prepared) => mountPrepared(routes, prepared)))

/** Mounts the routes with checked options. */
export const mountPrepared = <E, R>(routes: Routes<E, R>, { guard, settings }: Prepared) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const router = yield* HttpRouter.HttpRouter
    const runtime = yield* Runtime
    const { issuers = [] } = yield* Auth
    const addressOf = makeAddressOf(settings)
    // A router of its own keeps the app's routes and failures apart from the router's other routes.
    const inner = yield* HttpRouter.make
    const { limits } = settings
    const port = yield* portOf
    const entrance = ({ headers, onOwnPort, peer }: Arrival): Entered => {
      const name = hostnameOf(headers["host"] ?? "")
      const host = onOwnPort && port !== undefined && name !== "" ? `${name}:${port}` : headers["host"] ?? ""
      const call: Arriving = {
        headers: Headers.fromInput({ ...headers, host }),
        peerAddress: Option.fromUndefinedOr(peer),
        source: {}
      }
      const address = addressOf(call, peer)
      return guard(call, address) ?? address
    }
    const surroundings = Layer.mergeAll(
      Layer.succeed(HttpRouter.HttpRouter, inner),
      Layer.succeed(RequestLimits, limits),
      Layer.succeed(Entrance, entrance),
      Layer.succeed(SocketLimits, { ...yield* SocketLimits, frameBytes: limits.bodyBytes })
    )
    yield* Layer.build(Layer.fresh(Layer.provide(routes, surroundings)))
    const served = Effect.catchCause(inner.asHttpEffect(), noAnswer)
    const drainOnClose = yield* makeDrainOnClose(runtime.drain)
    yield* Effect.addFinalizer(() => runtime.drain)

    const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const address = addressOf(request, peerOf(request))
      const rule = guard(request, address)
      const preflight = rule === undefined ? Cors.preflightOf(settings, request) : undefined
      const answered = rule !== undefined
        ? refusal(rule, request)
        : preflight !== undefined
        ? Effect.succeed(preflight)
        : Effect.updateContext(
          served,
          (services: Context.Context<HttpServerRequest.HttpServerRequest | Scope.Scope>) =>
            Context.add(services, PublicAddress, address)
        )
      const watch = drainOnClose(request)
      return Effect.map(
        watch === undefined ? answered : Effect.andThen(watch, answered),
        (response) => withSecurityHeaders(Cors.withCors(settings, request, withLocation(response, address)))
      )
    })
    yield* (settings.prefix === "/" ? router : router.prefixed(settings.prefix)).add("*", "/*", handler)
    for (const [outer, url] of issuers.length === 0 ? [] : insertedPaths(settings)) {
      yield* router.add(
        "*",
        outer,
        Effect.provideServiceEffect(
          handler,
          HttpServerRequest.HttpServerRequest,
          Effect.map(HttpServerRequest.HttpServerRequest, (request) => request.modify({ url }))
        )
      )
    }
    // The router fails before any route when a path has invalid percent-encoding.
    yield* router.addGlobalMiddleware(Effect.catchIf(
      (error) => isRouteNotFound(error) && isUnder(settings.prefix, error.reason.request.url),
      () => handler
    ))
  }))

/** The port of the app's addresses, where the platform shows it. */
const portOf = Effect.map(
  Effect.serviceOption(HttpServer.HttpServer),
  (server) =>
    Option.isSome(server) && NetAddress.isInetAddress(server.value.address) ? server.value.address.port : undefined
)

/** Server.layer binds before its routes are mounted; a mount of another server may not know the server at all. */
const listensOnLoopback = (open: boolean) =>
  Effect.flatMap(Effect.serviceOption(HttpServer.HttpServer), (server) => {
    if (Option.isNone(server) || !NetAddress.isInetAddress(server.value.address)) return Effect.succeed(false)
    const { address } = server.value.address
    if (NetAddress.isLoopback(address)) return Effect.succeed(true)
    return open ? Effect.fail(new InsecureBind({ host: NetAddress.formatIp(address) })) : Effect.succeed(false)
  })

const isRouteNotFound = (error: unknown): error is HttpServerError & { readonly reason: RouteNotFound } =>
  isHttpServerError(error) && error.reason._tag === "RouteNotFound"

const isUnder = (prefix: string, url: string) =>
  prefix === "/" || url === prefix || ["/", "?"].some((end) => url.startsWith(`${prefix}${end}`))

/** A route answers its own failures; the rest are requests without a route, and defects of a protocol. */
const noAnswer = (cause: Cause.Cause<unknown>): typeof RequestContext.noSuchAddress => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  return isRouteNotFound(error) ? RequestContext.noSuchAddress : RequestContext.noAnswer(cause)
}

const refusal = (rule: Rule, { headers }: HttpServerRequest.HttpServerRequest) => {
  const caller = Caller.make("rest", { traceparent: headers["traceparent"] })
  return Effect.map(
    Problem.fromReason(new Forbidden({ rule, missing: [] }), { traceId: caller.traceId }),
    (response) => withTrace(response, caller)
  )
}

/** Handlers name their own paths; the client needs the path that it can reach. */
const withLocation = (response: HttpServerResponse.HttpServerResponse, { path }: PublicAddress) => {
  const { location } = response.headers
  return location?.startsWith("/") === true
    ? HttpServerResponse.setHeader(response, "location", `${path}${location}`)
    : response
}
