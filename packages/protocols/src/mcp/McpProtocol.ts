// MCP over Streamable HTTP: each request by itself, 2026-07-28 and the revisions of 2025 on one path. Mount serves it.
import type { Fusion } from "@fastagentic/core/app/Fusion"
import { Auth } from "@fastagentic/core/door/Auth"
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
import { metadataUrl, scopesOf } from "../internal/protectedResource.ts"
import { PublicAddress } from "../internal/publicAddress.ts"
import { publicDocument } from "../internal/publicDocument.ts"
import { hasTrace, withTrace } from "../internal/trace.ts"
import * as Endpoint from "./Endpoint.ts"
import * as HostRules from "./HostRules.ts"
import * as McpCatalog from "./McpCatalog.ts"
import * as McpError from "./McpError.ts"
import { refused } from "./Refusals.ts"
import * as ServerCard from "./ServerCard.ts"

const path = "/mcp"

/** The documents of the server that need no credentials. */
const documents = [
  ["/server-card", ServerCard.card, ServerCard.cardType],
  ["/server.json", ServerCard.registryEntry, "application/json"]
] as const

/** Clients in browsers read these documents before anybody has configured them. */
const openToPages = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET",
  "access-control-expose-headers": "etag"
}

/** The endpoint of MCP, its lists as one document under `/schema`, and the documents by which it is found. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | Runtime | Auth> = HttpRouter.use((router) =>
  Effect.gen(function*() {
    const runtime = yield* Runtime
    const catalog = McpCatalog.fromFusion(runtime.fusion)
    const found = HostRules.inCatalog(catalog)
    if (found.length > 0) {
      yield* Effect.logWarning(
        "Some hosts of MCP refuse tools of this app: `fastagentic check` prints them",
        found.slice(0, 10)
      )
    }
    const auth = yield* Auth
    const challenges = makeChallenges(auth, runtime.fusion)
    const guarded = (endpoint: Endpoint.Endpoint) => guard(runtime, challenges, endpoint)
    const { get, post, remove } = yield* Endpoint.make(runtime, catalog)
    yield* router.add("POST", path, guarded(post))
    yield* router.add("GET", path, guarded(get))
    yield* router.add("DELETE", path, guarded(remove))
    const schema: Endpoint.Endpoint = (_, caller) =>
      Effect.map(McpCatalog.visibleTo(runtime, catalog, caller), schemaOf)
    yield* router.add("GET", `${path}/schema`, guarded(schema))
    for (const [below, make, contentType] of documents) {
      yield* router.add(
        "GET",
        `${path}${below}`,
        Effect.flatMap(
          Effect.all([HttpServerRequest.HttpServerRequest, PublicAddress]),
          ([request, address]) =>
            publicDocument(request, JSON.stringify(make(runtime.fusion.app, address, auth)), {
              contentType,
              ...openToPages
            })
        )
      )
    }
  })
)

/** Authenticates a request before its body is read. */
const guard = (runtime: Runtime["Service"], challenges: Challenges, endpoint: Endpoint.Endpoint) =>
  Effect.flatMap(Effect.all([HttpServerRequest.HttpServerRequest, Tracing.current]), ([request, span]) => {
    const { headers } = request
    const caller = Caller.make("mcp", {
      credentials: Credentials.fromHeaders(headers, Option.getOrUndefined(request.peerAddress)),
      traceparent: headers["traceparent"],
      span
    })
    const answered = Effect.flatMap(runtime.authenticate(caller), (caller) => endpoint(request, caller)).pipe(
      Effect.catchTag("RunError", (error) => refusal(error, caller, challenges))
    )
    return Effect.map(answered, (response) => hasTrace(response) ? response : withTrace(response, caller))
  })

const refusal = (error: RunError, { credentials, traceId }: Caller.Caller, challenges: Challenges) =>
  Effect.map(
    Effect.all([McpError.fromRunError(error, traceId), PublicAddress]),
    ([problem, address]) => refused(McpError.statusOf(error), problem, challenges(error, credentials, address))
  )

type Challenges = ReturnType<typeof makeChallenges>

/**
 * A client without a valid token learns every scope of the app, because lists show only what its token allows; a client
 * whose token lacks scopes learns all of the operation, because its next token may have no others.
 */
const makeChallenges = ({ issuers, schemes }: Auth["Service"], fusion: Fusion) => {
  const scope = issuers === undefined || issuers.length === 0 ? "" : scopesOf(fusion).join(" ")
  return (
    { reason }: RunError,
    sent: Credentials.Credentials,
    address: PublicAddress
  ): Record<string, string> => {
    if (reason._tag !== "Unauthenticated" && reason._tag !== "Forbidden") return {}
    const metadata = { resource_metadata: metadataUrl(issuers, address, path) }
    if (reason._tag === "Unauthenticated") {
      const offered = scope.length > scopeLimit ? metadata : { ...metadata, scope }
      return { "www-authenticate": challengeOf(schemes, sent, offered) }
    }
    return schemes.includes("bearer") ? challengeFor(reason, metadata) : {}
  }
}

/** Clients limit headers; those that find no scopes here read them from the metadata. */
const scopeLimit = 2_048

const schemaOf = ({ prompts, resourceTemplates, resources, server, tools }: McpCatalog.Catalog) =>
  HttpServerResponse.jsonUnsafe({ server, tools, resources, resourceTemplates, prompts })
