// `POST /rpc` and the WebSocket `GET /rpc`: the calls of an app for the clients of effect/rpc. The credentials are those of
// the request that opens the connection, so every call passes the same door as REST's.
import * as Caller from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { Deferred, Effect, Layer, Option, RcRef, type Scope } from "effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Problem from "../http/Problem.ts"
import * as RequestContext from "../http/RequestContext.ts"
import type { Served } from "../http/Route.ts"
import * as SocketWriter from "../http/SocketWriter.ts"
import { watchRuntime } from "../http/WebSocketRoute.ts"
import { checkHandshake } from "../internal/handshake.ts"
import * as RpcCaller from "./RpcCaller.ts"
import * as RpcHandlers from "./RpcHandlers.ts"
import * as RpcMessages from "./RpcMessages.ts"
import * as RpcSocket from "./RpcSocket.ts"

/** The routes of a runtime; their calls end with the scope. */
export const make = Effect.fnUntraced(function*(
  runtime: Runtime["Service"]
): Effect.fn.Return<ReadonlyArray<Served>, never, Scope.Scope> {
  const limits = yield* SocketWriter.Limits
  const { group, handlers } = RpcHandlers.serve(runtime)
  const services = yield* Layer.build(handlers)
  const serialization = RpcMessages.serialization(limits.frameBytes, group.requests)
  const serve = (protocol: RpcServer.Protocol["Service"]) =>
    RpcServer.make(group, { disableTracing: true }).pipe(
      Effect.provideService(RpcServer.Protocol, protocol),
      Effect.provideContext(services),
      Effect.forkScoped
    )
  const provided = Effect.provideService(RpcSerialization.RpcSerialization, serialization)
  const http = yield* provided(RpcServer.makeProtocolWithHttpEffect())
  const socket = yield* provided(RpcServer.makeProtocolWithHttpEffectWebsocket)
  yield* serve(http.protocol)
  yield* serve(socket.protocol)
  const watch = yield* RcRef.make({ acquire: watchRuntime(runtime) })
  return [
    { method: "POST", path: "/rpc", handler: posted(http.httpEffect) },
    { method: "GET", path: "/rpc", handler: connected(socket.httpEffect, limits, watch) }
  ]
})

type Answered = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  HttpServerRequest.HttpServerRequest | Scope.Scope
>

/** One request with the messages of its body, each answered by lines of the response. */
const posted = (answer: Answered) =>
  RequestContext.handle((context) =>
    Effect.flatMap(RequestContext.text(context), (text) => {
      const { caller, request } = context
      const read: HttpServerRequest.HttpServerRequest = Object.create(request, {
        text: { value: Effect.succeed(text.endsWith("\n") ? text : `${text}\n`) }
      })
      return answer.pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, read),
        Effect.provideService(RpcCaller.Connection, {
          caller: Effect.succeed(caller),
          traceId: caller.traceId,
          open: 0
        })
      )
    }), { protocol: "rpc" })

const connected = (
  answer: Answered,
  limits: SocketWriter.Limits,
  watch: RcRef.RcRef<Deferred.Deferred<never, SocketWriter.SocketClose>>
): RequestContext.Handler =>
(runtime) =>
  Effect.flatMap(Effect.all([HttpServerRequest.HttpServerRequest, Tracing.current]), ([request, span]) => {
    const caller = Caller.make("rpc", {
      credentials: Credentials.fromHeaders(request.headers, Option.getOrUndefined(request.peerAddress)),
      traceparent: request.headers["traceparent"],
      span
    })
    return runtime.connect(caller).pipe(
      Effect.andThen(checkHandshake(request)),
      Effect.andThen(serveConnection({ answer, runtime, caller, request, limits, watch })),
      Effect.scoped,
      Effect.catchTags({
        RunError: (error) => Problem.fromRunError(error, { traceId: caller.traceId }),
        UpgradeRequired: (error) => Problem.fromReason(error, { traceId: caller.traceId }),
        BadHandshake: (error) => Problem.fromReason(error, { traceId: caller.traceId })
      })
    )
  })

/** The connection from its upgrade to its end. Its runs do not depend on it. */
const serveConnection = Effect.fnUntraced(function*({ answer, caller, limits, request, runtime, watch }: {
  readonly answer: Answered
  readonly runtime: Runtime["Service"]
  readonly caller: Caller.Caller
  readonly request: HttpServerRequest.HttpServerRequest
  readonly limits: SocketWriter.Limits
  readonly watch: RcRef.RcRef<Deferred.Deferred<never, SocketWriter.SocketClose>>
}) {
  const ending = yield* Deferred.make<never, SocketWriter.SocketClose>()
  const socket = RpcSocket.bounded(
    request,
    limits,
    (close) => Effect.andThen(Deferred.fail(ending, close), Effect.never)
  )
  const connection: RpcCaller.Connection = {
    // The connection may outlive its caller's credentials, so each call is authenticated, once.
    caller: runtime.authenticate(caller),
    traceId: caller.traceId,
    open: 0
  }
  const calls = answer.pipe(
    Effect.provideService(HttpServerRequest.HttpServerRequest, socket.request),
    Effect.provideService(RpcCaller.Connection, connection),
    Effect.catchDefect((defect) => Effect.logDebug("A connection of calls has ended", defect)),
    Effect.asVoid
  )
  const beat = Effect.forever(Effect.andThen(Effect.sleep(limits.heartbeat), Effect.ignore(socket.beat)))
  yield* Effect.raceAllFirst([
    calls,
    beat,
    Deferred.await(ending),
    Effect.catchTag(runtime.credentialsEnd(caller), "RunError", () => Effect.fail(SocketWriter.notAuthenticated)),
    Deferred.await(yield* RcRef.get(watch))
  ]).pipe(
    Effect.catchTag("SocketClose", socket.close),
    Effect.onInterrupt(() => socket.close(SocketWriter.goingAway))
  )
  return HttpServerResponse.empty()
})
