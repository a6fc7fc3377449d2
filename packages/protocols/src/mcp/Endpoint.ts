// The POST endpoint of MCP: reads a message, checks scopes, and passes it to the SDK's server.
import * as Caller from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import type { RunError } from "@fastagentic/core/run/RunError"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect, Predicate, type Scope } from "effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { bodyText, closing } from "../internal/bodyText.ts"
import { Limits } from "../internal/limits.ts"
import { PublicAddress, urlOf } from "../internal/publicAddress.ts"
import { RequestLimits } from "../internal/requestLimits.ts"
import { withTrace } from "../internal/trace.ts"
import { canAsk } from "./Elicitation.ts"
import { InFlightCalls, isCancellation } from "./InFlightCalls.ts"
import { type Catalog, targetOf } from "./McpCatalog.ts"
import * as McpError from "./McpError.ts"
import * as McpServer from "./McpServer.ts"
import { isResponse, PendingElicitations } from "./PendingElicitations.ts"
import * as WebBridge from "./WebBridge.ts"

/** Answers a request whose caller is authenticated. */
export type Endpoint = (
  request: HttpServerRequest.HttpServerRequest,
  caller: Caller.Caller
) => Effect.Effect<HttpServerResponse.HttpServerResponse, RunError>

const sessionHeader = "mcp-session-id"

/** The limits and credentials of each request that the SDK handles, because its request cannot carry them. */
type RequestStates = WeakMap<
  Request,
  { readonly limits: Limits; readonly caller: Caller.Caller; readonly address: PublicAddress }
>

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
  const limits = yield* RequestLimits
  const calls = new InFlightCalls()
  const elicitations = new PendingElicitations()
  const states: RequestStates = new WeakMap()
  let opened: Promise<Sdk.McpHttpHandler> | undefined
  // The SDK is loaded at the first request, because it loads slowly and many servers get no MCP request.
  const open = () =>
    opened ??= load({ runtime, catalog, services }, (context) => connectionOf(context, { calls, elicitations, states }))
  yield* Effect.addFinalizer(() => Effect.promise(async () => (await opened)?.close()))

  const dispatch = (request: HttpServerRequest.HttpServerRequest, caller: Caller.Caller, body: unknown) => {
    const session = request.headers[sessionHeader]
    if (session !== undefined && isCancellation(body)) {
      return Effect.as(calls.cancel(runtime, caller, session, body), HttpServerResponse.empty({ status: 202 }))
    }
    if (isResponse(body)) {
      return Effect.as(elicitations.answered(runtime, caller, body), HttpServerResponse.empty({ status: 202 }))
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
    const answered = Effect.all([Effect.promise(open), PublicAddress]).pipe(
      Effect.flatMap(([handler, address]) =>
        WebBridge.answer(traced, (web) => {
          states.set(web, { limits, caller, address })
          return handler.fetch(web, { parsedBody: body })
        })
      ),
      Effect.map((response) =>
        withTrace(limits.addHeaders(response), caller.traceId === traceId ? caller : { traceId })
      )
    )
    return methodOf(body) === "initialize"
      ? Effect.map(answered, HttpServerResponse.setHeader(sessionHeader, sessionFor(body)))
      : answered
  }

  return (request, caller) =>
    Effect.matchEffect(bodyOf(request, limits, caller.traceId), {
      onFailure: Effect.succeed,
      // A call with missing scopes is refused with an HTTP status, before the SDK begins its answer.
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
 * A client of 2026-07-28 cancels its request by closing it. In earlier versions a closed connection has no meaning, and a
 * cancellation is a message of its own.
 */
const connectionOf = (
  { era, requestInfo }: Sdk.McpRequestContext,
  { calls, elicitations, states }: {
    readonly calls: InFlightCalls
    readonly elicitations: PendingElicitations
    readonly states: RequestStates
  }
): McpServer.Connection => {
  const headers = Object.fromEntries(requestInfo?.headers ?? [])
  const session = headers[sessionHeader]
  const state = requestInfo === undefined ? undefined : states.get(requestInfo)
  return {
    credentials: state?.caller.credentials ?? Credentials.none,
    authenticated: state?.caller.authenticated,
    traceparent: headers["traceparent"],
    path: state?.address.path ?? "",
    url: state === undefined ? undefined : urlOf(state.address),
    revision: headers["mcp-protocol-version"],
    onLimits: state?.limits.record,
    ask: (server, { mcpReq }, caller) =>
      session?.endsWith(canBeAsked) ? elicitations.asker(server, mcpReq.id, caller) : undefined,
    isCancelled: () => era === "modern" && requestInfo?.signal.aborted === true,
    register: (requestId, call) =>
      era === "modern" || session === undefined ? () => {} : calls.add(session, requestId, call)
  }
}

/** The id of a session. It holds the client's capability for elicitation, so that every server knows it. */
const sessionFor = (body: unknown) => {
  const params = Predicate.hasProperty(body, "params") ? body.params : undefined
  const capabilities = Predicate.hasProperty(params, "capabilities") ? params.capabilities : undefined
  return `${globalThis.crypto.randomUUID()}${canAsk(capabilities) ? canBeAsked : ""}`
}

const canBeAsked = ".elicitation"

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
