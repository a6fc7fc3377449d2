// The endpoint of MCP: reads a message, checks scopes, and passes it to the SDK's server.
import * as Caller from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import type { RunError } from "@fastagentic/core/run/RunError"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect, type Scope, Stream } from "effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { Limits } from "../internal/limits.ts"
import { PublicAddress } from "../internal/publicAddress.ts"
import { RequestLimits } from "../internal/requestLimits.ts"
import { withTrace } from "../internal/trace.ts"
import { Changes, listenerLimit } from "./Changes.ts"
import { headerOf, mismatched } from "./ClaimedHeaders.ts"
import type { Connection, Options } from "./Connection.ts"
import * as DirectAnswer from "./DirectAnswer.ts"
import * as DirectCall from "./DirectCall.ts"
import { clientOf, connectionOf, type RequestStates, sessionFor, sessionHeader } from "./HttpConnection.ts"
import { InFlightCalls, isCancellation } from "./InFlightCalls.ts"
import { type Catalog, targetOf } from "./McpCatalog.ts"
import * as McpError from "./McpError.ts"
import * as McpServer from "./McpServer.ts"
import { isResponse, PendingQuestions } from "./PendingQuestions.ts"
import { notAllowed, refused, sessionNotFound } from "./Refusals.ts"
import { bodyOf, methodOf, traceparentIn } from "./RequestBody.ts"
import * as Resumption from "./Resumption.ts"
import { Sessions } from "./Sessions.ts"
import * as SessionStream from "./SessionStream.ts"
import * as Subscriptions from "./Subscriptions.ts"
import * as TaskNotices from "./TaskNotices.ts"
import * as WebBridge from "./WebBridge.ts"

/** Answers a request whose caller is authenticated. */
export type Endpoint = (
  request: HttpServerRequest.HttpServerRequest,
  caller: Caller.Caller
) => Effect.Effect<HttpServerResponse.HttpServerResponse, RunError>

/** No id of a session is longer: settings are kept under it. */
const sessionLength = 64

/** The endpoints of the methods that clients use. */
export interface Endpoints {
  readonly post: Endpoint
  readonly get: Endpoint
  readonly remove: Endpoint
}

export const make = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  catalog: Catalog
): Effect.fn.Return<Endpoints, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const services = yield* Effect.context<never>()
  const limits = yield* RequestLimits
  const calls = new InFlightCalls(runtime)
  const questions = new PendingQuestions(runtime)
  const sessions = new Sessions(runtime)
  const states: RequestStates = new WeakMap()
  const changes = new Changes()
  let opened: Promise<Sdk.McpHttpHandler> | undefined
  const parts = { runtime, calls, questions, sessions, states }
  // The SDK is loaded at the first request, because it loads slowly and many servers get no MCP request.
  const load = () =>
    opened ??= handlerOf({ runtime, catalog, services }, changes, (context) => connectionOf(context, parts))
  // Nothing is heard of other nodes before that.
  const listen = yield* Effect.cached(Effect.all([
    Effect.forkIn(changes.follow(runtime), scope),
    Effect.forkIn(
      Stream.runForEach(runtime.notes.follow, (fact) => {
        sessions.noted(fact)
        return Effect.andThen(calls.noted(fact), questions.noted(fact))
      }),
      scope
    )
  ], { discard: true }))
  const open = Effect.andThen(listen, Effect.promise(load))
  yield* Effect.addFinalizer(() => Effect.promise(async () => (await opened)?.close()))

  const dispatch = (
    request: Pick<HttpServerRequest.HttpServerRequest, "method"> & {
      readonly headers: Record<string, string | undefined>
    },
    caller: Caller.Caller,
    body: unknown
  ) => {
    const session = request.headers[sessionHeader]
    if (session !== undefined && isCancellation(body)) {
      return Effect.as(calls.cancel(caller, session, body), HttpServerResponse.empty({ status: 202 }))
    }
    if (isResponse(body)) {
      const answered = Effect.as(
        questions.answered(caller, clientOf(request), body),
        HttpServerResponse.empty({ status: 202 })
      )
      // A status of 404 would say that the session is gone.
      return Effect.catchIf(
        answered,
        ({ reason }) => reason._tag === "RunNotFound" || reason._tag === "InterruptNotFound",
        (error) => Effect.map(McpError.fromRunError(error, caller.traceId), (refusal) => refused(400, refusal))
      )
    }
    const traceId = Caller.traceIdOf(traceparentIn(body)) ?? caller.traceId
    const traced = {
      method: request.method,
      headers: {
        ...request.headers,
        traceparent: caller.span?._tag === "Span" ? Tracing.toTraceparent(caller.span) : Caller.toTraceparent(traceId)
      }
    }
    const limits = new Limits()
    const streamed = session === undefined ? undefined : Resumption.streamed(body)
    const answered = Effect.all([open, PublicAddress]).pipe(
      Effect.flatMap(([handler, address]) =>
        WebBridge.answer(traced, (web) => {
          states.set(web, { limits, caller, address, streamed })
          return handler.fetch(web, { parsedBody: body })
        })
      ),
      Effect.map((response) =>
        withTrace(
          limits.addHeaders(
            streamed === undefined
              ? response
              : Resumption.withIds(response, streamed, request.headers["mcp-protocol-version"] ?? "2025-03-26")
          ),
          caller.traceId === traceId ? caller : { traceId }
        )
      )
    )
    return methodOf(body) === "initialize"
      ? Effect.map(answered, HttpServerResponse.setHeader(sessionHeader, sessionFor(body)))
      : answered
  }

  const taskNotices = TaskNotices.make(runtime, catalog, changes)
  const direct = DirectAnswer.make({ runtime, catalog })

  const get: Endpoint = (request, caller) => {
    const session = request.headers[sessionHeader]
    const { "last-event-id": lastEventId, ...headers } = request.headers
    const message = session === undefined || lastEventId === undefined
      ? undefined
      : Resumption.messageAfter(lastEventId)
    if (message !== undefined) {
      const accept = "application/json, text/event-stream"
      return dispatch(
        { method: "POST", headers: { ...headers, accept, "content-type": "application/json" } },
        caller,
        message
      )
    }
    if (session === undefined || catalog.capabilities.resources?.subscribe !== true || changes.isFull) {
      return Effect.succeed(notAllowed(caller))
    }
    return Effect.map(
      Effect.all([runtime.principal(caller), runtime.openStream(caller), listen]),
      ([owner, counted]) => SessionStream.response(owner, session, { changes, counted, sessions })
    )
  }

  const post: Endpoint = (request, caller) =>
    Effect.matchEffect(bodyOf(request, limits, caller.traceId), {
      onFailure: Effect.succeed,
      // A call with missing scopes is refused with an HTTP status, before the SDK begins its answer.
      onSuccess: (body) => {
        const call = DirectCall.callOf(request.headers, body)
        const callable = call && !catalog.headers.has(call.name) && catalog.callables.get(call.name)
        if (callable) return Effect.andThen(runtime.checkScopes(caller, callable), direct(call, caller))
        const target = targetOf(catalog, body)
        const disagrees = headerOf(catalog, request, body)
        if (disagrees !== undefined) return Effect.succeed(mismatched(disagrees, body, caller))
        if (methodOf(body) === "subscriptions/listen") {
          const ofTasks = catalog.hasTasks ? TaskNotices.listenOf(request.headers, body) : undefined
          return Effect.andThen(
            Subscriptions.check(runtime, catalog, caller, body),
            ofTasks === undefined
              ? Subscriptions.counted(runtime, caller, dispatch(request, caller, body))
              : Effect.flatMap(
                Effect.andThen(listen, PublicAddress),
                (address) => taskNotices(ofTasks, caller, address)
              )
          )
        }
        return target === undefined
          ? dispatch(request, caller, body)
          : Effect.andThen(runtime.checkScopes(caller, target), dispatch(request, caller, body))
      }
    })
  const remove: Endpoint = ({ headers }, caller) => {
    const session = headers[sessionHeader]
    return session === undefined
      ? Effect.succeed(notAllowed(caller))
      : Effect.flatMap(
        runtime.principal(caller),
        (owner) => Effect.as(sessions.end(owner, session), HttpServerResponse.empty({ status: 204 }))
      )
  }

  /** A session that its client has ended is not found; a request without one needs none. */
  const within = (endpoint: Endpoint): Endpoint => (request, caller) => {
    const session = request.headers[sessionHeader]
    if (session !== undefined && session.length > sessionLength) return Effect.succeed(sessionNotFound(caller))
    return session === undefined
      ? endpoint(request, caller)
      : Effect.flatMap(
        Effect.flatMap(runtime.principal(caller), (owner) => sessions.isEnded(owner, session)),
        (ended) => ended ? Effect.succeed(sessionNotFound(caller)) : endpoint(request, caller)
      )
  }

  return { post: within(post), get: within(get), remove: within(remove) }
})

const handlerOf = async (
  options: Options,
  bus: Changes,
  connect: (context: Sdk.McpRequestContext) => Connection
) => {
  const sdk = await import("@modelcontextprotocol/server")
  const makeServer = McpServer.make(sdk, options)
  return sdk.createMcpHandler((context) => makeServer(connect(context)), { bus, maxSubscriptions: listenerLimit })
}
