// The one path that MCP messages are posted to.
import * as Caller from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import type { RunError } from "@fastagentic/core/run/RunError"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect, Predicate, type Scope } from "effect"
import * as ByteSize from "effect/ByteSize"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { Limits } from "../internal/limits.ts"
import { labelled } from "../internal/trace.ts"
import { canAsk } from "./Elicitation.ts"
import { InFlightCalls, isCancellation } from "./InFlightCalls.ts"
import { type Catalog, targetOf } from "./McpCatalog.ts"
import * as McpError from "./McpError.ts"
import * as McpServer from "./McpServer.ts"
import { isResponse, PendingElicitations } from "./PendingElicitations.ts"
import * as WebBridge from "./WebBridge.ts"

/** Answers a request whose caller is known. */
export type Endpoint = (
  request: HttpServerRequest.HttpServerRequest,
  caller: Caller.Caller
) => Effect.Effect<HttpServerResponse.HttpServerResponse, RunError>

/** Largest request body, in bytes. */
export const bodyLimit = 1_048_576

const limit = ByteSize.bytes(bodyLimit)
const sessionHeader = "mcp-session-id"

/** What belongs to a request that the SDK has, and what it cannot carry itself. */
type Exchanges = WeakMap<Request, { readonly limits: Limits; readonly caller: Caller.Caller }>

/** A refusal as a JSON-RPC error. */
export const refused = (
  status: number,
  error: Pick<McpError.McpError, "code" | "message" | "data">,
  headers: Record<string, string> = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(
    { jsonrpc: "2.0", id: null, error: { code: error.code, message: error.message, data: error.data } },
    { status, headers }
  )

export const make = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  catalog: Catalog
): Effect.fn.Return<Endpoint, never, Scope.Scope> {
  const services = yield* Effect.context<never>()
  const calls = new InFlightCalls()
  const clients = new PendingElicitations()
  const shown: Exchanges = new WeakMap()
  let opened: Promise<Sdk.McpHttpHandler> | undefined
  // The SDK takes longer to load than all else here, and not every server is ever called over MCP.
  const open = () =>
    opened ??= load({ runtime, catalog, services }, (context) => connectionOf(context, { calls, clients, shown }))
  yield* Effect.addFinalizer(() => Effect.promise(async () => (await opened)?.close()))

  const dispatch = (request: HttpServerRequest.HttpServerRequest, caller: Caller.Caller, body: unknown) => {
    const session = request.headers[sessionHeader]
    if (session !== undefined && isCancellation(body)) {
      return Effect.as(calls.cancel(runtime, caller, session, body), HttpServerResponse.empty({ status: 202 }))
    }
    if (isResponse(body)) {
      return Effect.as(clients.answered(runtime, caller, body), HttpServerResponse.empty({ status: 202 }))
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
    const answered = Effect.promise(open).pipe(
      Effect.flatMap((handler) =>
        WebBridge.answer(traced, (web) => {
          shown.set(web, { limits, caller })
          return handler.fetch(web, { parsedBody: body })
        })
      ),
      Effect.map((response) => labelled(limits.told(response), caller.traceId === traceId ? caller : { traceId }))
    )
    return methodOf(body) === "initialize"
      ? Effect.map(answered, HttpServerResponse.setHeader(sessionHeader, sessionFor(body)))
      : answered
  }

  return (request, caller) =>
    Effect.matchEffect(bodyOf(request, caller.traceId), {
      onFailure: Effect.succeed,
      // A call for which scopes are missing is answered with a status, which has to be known before the SDK begins.
      onSuccess: (body) => {
        const target = targetOf(catalog, body)
        return target === undefined
          ? dispatch(request, caller, body)
          : Effect.andThen(runtime.checkScopes(caller, target), dispatch(request, caller, body))
      }
    })
})

const load = async (options: McpServer.Options, connect: (context: Sdk.McpRequestContext) => McpServer.Connection) => {
  const sdk = await import("@modelcontextprotocol/server")
  const makeServer = McpServer.make(sdk, options)
  return sdk.createMcpHandler((context) => makeServer(connect(context)))
}

/**
 * In 2026-07-28 a client that closes its request takes it back. Before, a closed connection means nothing, and a
 * cancellation is a message of its own.
 */
const connectionOf = (
  { era, requestInfo }: Sdk.McpRequestContext,
  { calls, clients, shown }: {
    readonly calls: InFlightCalls
    readonly clients: PendingElicitations
    readonly shown: Exchanges
  }
): McpServer.Connection => {
  const headers = Object.fromEntries(requestInfo?.headers ?? [])
  const session = headers[sessionHeader]
  const exchange = requestInfo === undefined ? undefined : shown.get(requestInfo)
  return {
    credentials: exchange?.caller.credentials ?? Credentials.none,
    authenticated: exchange?.caller.authenticated,
    traceparent: headers["traceparent"],
    onLimits: exchange?.limits.keep,
    ask: (server, { mcpReq }) => session?.endsWith(canBeAsked) ? clients.asker(server, mcpReq.id) : undefined,
    isCancelled: () => era === "modern" && requestInfo?.signal.aborted === true,
    waiting: (requestId, call) =>
      era === "modern" || session === undefined ? () => {} : calls.add(session, requestId, call)
  }
}

/** A session is only a name: what the client has said about itself is part of it, so that every server knows it. */
const sessionFor = (body: unknown) => {
  const params = Predicate.hasProperty(body, "params") ? body.params : undefined
  const capabilities = Predicate.hasProperty(params, "capabilities") ? params.capabilities : undefined
  return `${globalThis.crypto.randomUUID()}${canAsk(capabilities) ? canBeAsked : ""}`
}

const canBeAsked = ".elicitation"

const bodyOf = (request: HttpServerRequest.HttpServerRequest, traceId: string) =>
  request.text.pipe(
    Effect.provideService(HttpIncomingMessage.MaxBodySize, limit),
    Effect.mapError(({ reason }) =>
      reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"
        ? refused(413, {
          code: McpError.invalidRequest,
          message: `The body is over ${bodyLimit} bytes`,
          data: { tag: "BodyTooLarge", limitBytes: bodyLimit, traceId }
        })
        : malformed("The body could not be read", traceId)
    ),
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

/** The message's own `_meta` says the trace before the header does. */
const traceparentIn = (body: unknown): string | undefined => {
  const params = Predicate.hasProperty(body, "params") ? body.params : undefined
  const meta = Predicate.hasProperty(params, "_meta") ? params._meta : undefined
  const traceparent = Predicate.hasProperty(meta, "traceparent") ? meta.traceparent : undefined
  return typeof traceparent === "string" ? traceparent : undefined
}
