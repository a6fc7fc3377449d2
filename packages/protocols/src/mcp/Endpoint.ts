// The POST endpoint of MCP: reads a message, checks scopes, and passes it to the SDK's server.
import * as Caller from "@fastagentic/core/door/Caller"
import type { NoteOwner, Runtime } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import type { RunError } from "@fastagentic/core/run/RunError"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import type * as Sdk from "@modelcontextprotocol/server"
import { Deferred, Effect, Exit, Predicate, Schema, type Scope, Stream } from "effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { bodyText, closing } from "../internal/bodyText.ts"
import { Limits } from "../internal/limits.ts"
import { PublicAddress, urlOf } from "../internal/publicAddress.ts"
import { RequestLimits } from "../internal/requestLimits.ts"
import { withTrace } from "../internal/trace.ts"
import * as Abilities from "./Abilities.ts"
import { Changes, listenerLimit } from "./Changes.ts"
import type { Client } from "./ClientQuestion.ts"
import { InFlightCalls, isCancellation } from "./InFlightCalls.ts"
import { type Catalog, targetOf } from "./McpCatalog.ts"
import * as McpError from "./McpError.ts"
import * as McpServer from "./McpServer.ts"
import * as ParamHeaders from "./ParamHeaders.ts"
import { isResponse, PendingQuestions } from "./PendingQuestions.ts"
import * as Resumption from "./Resumption.ts"
import { Sessions } from "./Sessions.ts"
import * as SessionStream from "./SessionStream.ts"
import * as Subscriptions from "./Subscriptions.ts"
import * as WebBridge from "./WebBridge.ts"

/** Answers a request whose caller is authenticated. */
export type Endpoint = (
  request: HttpServerRequest.HttpServerRequest,
  caller: Caller.Caller
) => Effect.Effect<HttpServerResponse.HttpServerResponse, RunError>

const sessionHeader = "mcp-session-id"

/** No id of a session is longer: settings are kept under it. */
const sessionLength = 64

/** The limits and credentials of each request that the SDK handles, because its request cannot carry them. */
type RequestStates = WeakMap<
  Request,
  {
    readonly limits: Limits
    readonly caller: Caller.Caller
    readonly address: PublicAddress
    readonly streamed: Resumption.Streamed | undefined
  }
>

/** A refusal as a JSON-RPC error. */
export const refused = (
  status: number,
  error: Pick<McpError.McpError, "code" | "message" | "data">,
  headers: Record<string, string> = {},
  id: unknown = null
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(
    { jsonrpc: "2.0", id, error: { code: error.code, message: error.message, data: error.data } },
    { status, headers }
  )

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
        const target = targetOf(catalog, body)
        const disagrees = headerOf(catalog, request, body)
        if (disagrees !== undefined) return Effect.succeed(mismatched(disagrees, body, caller))
        if (methodOf(body) === "subscriptions/listen") {
          return Subscriptions.checked(runtime, catalog, caller, body, dispatch(request, caller, body))
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

const sessionNotFound = ({ traceId }: Caller.Caller) =>
  refused(404, {
    code: McpError.invalidRequest,
    message: "The session has ended",
    data: { tag: "SessionNotFound", traceId }
  })

/** There is no stream to open, and no session to end. */
export const notAllowed = ({ traceId }: Caller.Caller) =>
  refused(
    405,
    { code: McpError.invalidRequest, message: "Method not allowed", data: { tag: "MethodNotAllowed", traceId } },
    { allow: "POST" }
  )

const isClaimed = Schema.is(Schema.Struct({
  method: Schema.Literal("tools/call"),
  params: Schema.Struct({
    name: Schema.String,
    arguments: Schema.optionalKey(Schema.Unknown),
    _meta: Schema.Struct({ "io.modelcontextprotocol/protocolVersion": Schema.String })
  })
}))

const isOfTask = Schema.is(Schema.Struct({
  method: Schema.Literals(["tasks/get", "tasks/update", "tasks/cancel"]),
  params: Schema.Struct({
    taskId: Schema.String,
    _meta: Schema.Struct({ "io.modelcontextprotocol/protocolVersion": Schema.String })
  })
}))

/** The header of a request of 2026-07-28 that disagrees with its body. */
const headerOf = ({ headers: declared }: Catalog, { headers }: HttpServerRequest.HttpServerRequest, body: unknown) => {
  if (isOfTask(body)) return headers["mcp-name"] === body.params.taskId ? undefined : "mcp-name"
  if (declared.size === 0 || !isClaimed(body)) return undefined
  const ofTool = declared.get(body.params.name)
  return ofTool && ParamHeaders.mismatch(ofTool, body.params.arguments, headers)
}

const mismatched = (header: string, body: unknown, { traceId }: Caller.Caller) =>
  refused(
    400,
    {
      code: McpError.headerMismatch,
      message: `The header ${header} and the arguments disagree`,
      data: { tag: "HeaderMismatch", header, traceId }
    },
    {},
    Predicate.hasProperty(body, "id") ? body.id : null
  )

const handlerOf = async (
  options: McpServer.Options,
  bus: Changes,
  connect: (context: Sdk.McpRequestContext) => McpServer.Connection
) => {
  const sdk = await import("@modelcontextprotocol/server")
  const makeServer = McpServer.make(sdk, options)
  return sdk.createMcpHandler((context) => makeServer(connect(context)), { bus, maxSubscriptions: listenerLimit })
}

/**
 * A client of 2026-07-28 cancels its request by closing it. In earlier versions a closed connection has no meaning, and a
 * cancellation is a message of its own.
 */
const connectionOf = (
  { era, requestInfo }: Sdk.McpRequestContext,
  { calls, questions, runtime, sessions, states }: {
    readonly runtime: Runtime["Service"]
    readonly sessions: Sessions
    readonly calls: InFlightCalls
    readonly questions: PendingQuestions
    readonly states: RequestStates
  }
): McpServer.Connection => {
  const headers = Object.fromEntries(requestInfo?.headers ?? [])
  const session = headers[sessionHeader]
  const state = requestInfo === undefined ? undefined : states.get(requestInfo)
  const within = <A>(
    method: (owner: NoteOwner, session: string) => Effect.Effect<A, RunError>
  ): Effect.Effect<A | undefined, RunError> =>
    session === undefined || state === undefined
      ? Effect.undefined
      : Effect.flatMap(runtime.principal(state.caller), (owner) => method(owner, session))
  return {
    era,
    credentials: state?.caller.credentials ?? Credentials.none,
    authenticated: state?.caller.authenticated,
    traceparent: headers["traceparent"],
    path: state?.address.path ?? "",
    url: state === undefined ? undefined : urlOf(state.address),
    revision: headers["mcp-protocol-version"],
    onLimits: state?.limits.record,
    abilities: () => Abilities.fromSession(session),
    logLevel: within((owner, session) => sessions.level(owner, session)),
    subscribe: (uri, wanted) => within((owner, session) => sessions.subscribe(owner, session, uri, wanted)),
    setLogLevel: (level) => within((owner, session) => sessions.setLevel(owner, session, level)),
    put: (server, { mcpReq }, caller) => questions.reader(server, mcpReq.id, caller),
    ask: (server, { mcpReq }, caller) => questions.asker(server, mcpReq.id, caller),
    isCancelled: () => era === "modern" && requestInfo?.signal.aborted === true,
    register: (requestId, call, seq) => {
      if (state?.streamed !== undefined) {
        Deferred.doneUnsafe(state.streamed.run, Exit.succeed({ runId: call.runId, seq }))
      }
      return era === "modern" || session === undefined ? () => {} : calls.add(session, requestId, call)
    }
  }
}

/** The client that answers a question: it has shown that it can. */
const clientOf = ({ headers }: { readonly headers: Record<string, string | undefined> }): Client => ({
  abilities: Abilities.all,
  revision: headers["mcp-protocol-version"] ?? "2025-03-26"
})

/** The id of a session. It holds the client's abilities, so that every server knows them. */
const sessionFor = (body: unknown) => {
  const params = Predicate.hasProperty(body, "params") ? body.params : undefined
  const capabilities = Predicate.hasProperty(params, "capabilities") ? params.capabilities : undefined
  return `${globalThis.crypto.randomUUID()}${Abilities.toSuffix(Abilities.fromCapabilities(capabilities))}`
}

const bodyOf = (request: HttpServerRequest.HttpServerRequest, limits: RequestLimits, traceId: string) =>
  bodyText(request, limits).pipe(
    Effect.mapError((unread) => {
      const { bodyBytes: limitBytes, bodyMillis: limitMillis } = limits
      switch (unread) {
        case "TooLarge":
          return refused(413, {
            code: McpError.invalidRequest,
            message: `The body is over ${limitBytes} bytes`,
            data: { tag: "BodyTooLarge", limitBytes, traceId }
          })
        case "TooSlow":
          return refused(408, {
            code: McpError.invalidRequest,
            message: `The body did not arrive within ${limitMillis} ms`,
            data: { tag: "BodyTooSlow", limitMillis, traceId }
          }, closing)
        case "Unreadable":
          return malformed("The body could not be read", traceId)
      }
    }),
    Effect.flatMap((text) =>
      Effect.try({
        try: (): unknown => JSON.parse(text),
        catch: () => malformed("Parse error: the body is not JSON", traceId)
      })
    )
  )

const malformed = (message: string, traceId: string) =>
  refused(400, { code: McpError.parseError, message, data: { tag: "BadBody", traceId } })

const methodOf = (body: unknown) => Predicate.hasProperty(body, "method") ? body.method : undefined

/** The trace in the message's own `_meta`, which is preferred to the header's. */
const traceparentIn = (body: unknown): string | undefined => {
  const params = Predicate.hasProperty(body, "params") ? body.params : undefined
  const meta = Predicate.hasProperty(params, "_meta") ? params._meta : undefined
  const traceparent = Predicate.hasProperty(meta, "traceparent") ? meta.traceparent : undefined
  return typeof traceparent === "string" ? traceparent : undefined
}
