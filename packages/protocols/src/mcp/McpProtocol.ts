// MCP over Streamable HTTP: each request by itself, 2026-07-28 and the revisions of 2025 on one path. Mount serves it.
import { Auth, type Scheme } from "@fastagentic/core/door/Auth"
import * as Caller from "@fastagentic/core/door/Caller"
import { Runtime } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import type { RunError } from "@fastagentic/core/run/RunError"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { Effect, type Layer, Option } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { challengeFor, challengeOf } from "../internal/challenge.ts"
import { hasTrace, withTrace } from "../internal/trace.ts"
import * as Endpoint from "./Endpoint.ts"
import * as McpCatalog from "./McpCatalog.ts"
import * as McpError from "./McpError.ts"

const path = "/mcp"

/** The endpoint of MCP, and its lists as one document under `/schema`. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | Runtime | Auth> = HttpRouter.use((router) =>
  Effect.gen(function*() {
    const runtime = yield* Runtime
    const catalog = McpCatalog.fromFusion(runtime.fusion)
    const { schemes } = yield* Auth
    const guarded = (endpoint: Endpoint.Endpoint) => guard({ runtime, schemes }, endpoint)
    yield* router.add("POST", path, guarded(yield* Endpoint.make(runtime, catalog)))
    yield* router.add("GET", path, guarded(notAllowed))
    yield* router.add("DELETE", path, guarded(notAllowed))
    const schema: Endpoint.Endpoint = (_, caller) =>
      Effect.map(McpCatalog.visibleTo(runtime, catalog, caller), schemaOf)
    yield* router.add("GET", `${path}/schema`, guarded(schema))
  })
)

/** Authenticates a request before its body is read. */
const guard = (
  { runtime, schemes }: {
    readonly runtime: Runtime["Service"]
    readonly schemes: ReadonlyArray<Scheme>
  },
  endpoint: Endpoint.Endpoint
) =>
  Effect.flatMap(Effect.all([HttpServerRequest.HttpServerRequest, Tracing.current]), ([request, span]) => {
    const { headers } = request
    const caller = Caller.make("mcp", {
      credentials: Credentials.fromHeaders(headers, Option.getOrUndefined(request.peerAddress)),
      traceparent: headers["traceparent"],
      span
    })
    const answered = Effect.flatMap(runtime.authenticate(caller), (caller) => endpoint(request, caller)).pipe(
      Effect.catchTag("RunError", (error) => refusal(error, caller, schemes))
    )
    return Effect.map(answered, (response) => hasTrace(response) ? response : withTrace(response, caller))
  })

const refusal = (error: RunError, { credentials, traceId }: Caller.Caller, schemes: ReadonlyArray<Scheme>) =>
  Effect.map(
    McpError.fromRunError(error, traceId),
    (refused) => Endpoint.refused(McpError.statusOf(error), refused, challenged(error, credentials, schemes))
  )

const challenged = (
  { reason }: RunError,
  sent: Credentials.Credentials,
  schemes: ReadonlyArray<Scheme>
): Record<string, string> => {
  if (reason._tag === "Unauthenticated") return { "www-authenticate": challengeOf(schemes, sent) }
  return reason._tag === "Forbidden" && schemes.includes("bearer") ? challengeFor(reason) : {}
}

/** GET and DELETE, because there are no streams to open and no sessions to end. */
const notAllowed: Endpoint.Endpoint = (_, { traceId }) =>
  Effect.succeed(
    Endpoint.refused(
      405,
      { code: McpError.invalidRequest, message: "Method not allowed", data: { tag: "MethodNotAllowed", traceId } },
      { allow: "POST" }
    )
  )

const schemaOf = ({ prompts, resourceTemplates, resources, server, tools }: McpCatalog.Catalog) =>
  HttpServerResponse.jsonUnsafe({ server, tools, resources, resourceTemplates, prompts })
