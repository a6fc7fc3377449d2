/**
 * REST, server-sent events and the documents that describe them.
 *
 * @since 0.1.0
 */
import type { Auth } from "@fastagentic/core/Auth"
import { Runtime } from "@fastagentic/core/Runtime"
import { Effect, Layer } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as AgentRoutes from "./AgentRoutes.ts"
import * as CatalogRoutes from "./CatalogRoutes.ts"
import * as Exchange from "./Exchange.ts"
import { NoSuchRoute } from "./Problem.ts"
import * as RunRoutes from "./RunRoutes.ts"
import * as SystemRoutes from "./SystemRoutes.ts"

/**
 * Mounts all REST routes on the router.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | Runtime | Auth> = HttpRouter.use((router) =>
  Effect.gen(function*() {
    const runtime = yield* Runtime
    const docs = yield* SystemRoutes.makeDocs
    const add = (method: "GET" | "POST" | "*", path: HttpRouter.PathInput, route: Exchange.Route) =>
      router.add(method, path, route(runtime))
    yield* add("GET", "/agents", CatalogRoutes.listCallables("agents"))
    yield* add("POST", "/agents/:identifier", AgentRoutes.call("agent"))
    yield* add("POST", "/agents/:identifier/stream", AgentRoutes.stream)
    yield* add("POST", "/agents/:identifier/runs", AgentRoutes.background)
    yield* add("GET", "/tools", CatalogRoutes.listCallables("tools"))
    yield* add("POST", "/tools/:identifier", AgentRoutes.call("tool"))
    yield* add("GET", "/resources", CatalogRoutes.listResources)
    yield* add("GET", "/resources/:identifier", CatalogRoutes.readResource)
    yield* add("GET", "/resources/:identifier/*", CatalogRoutes.readResource)
    yield* add("GET", "/prompts", CatalogRoutes.listPrompts)
    yield* add("POST", "/prompts/:identifier", CatalogRoutes.renderPrompt)
    yield* add("GET", "/runs", RunRoutes.list)
    yield* add("GET", "/runs/:runId", RunRoutes.get)
    yield* add("GET", "/runs/:runId/events", RunRoutes.events)
    yield* add("POST", "/runs/:runId/cancel", RunRoutes.cancel)
    yield* add("POST", "/runs/:runId/resume", RunRoutes.resume)
    yield* add("GET", "/runs/:runId/interrupts", RunRoutes.interrupts)
    yield* add("POST", "/runs/:runId/interrupts/:id", RunRoutes.answer)
    yield* router.add("GET", "/health", SystemRoutes.health)
    yield* add("GET", "/ready", SystemRoutes.ready)
    yield* add("GET", "/metrics", SystemRoutes.metrics)
    yield* router.add("GET", "/openapi.json", docs.openapi)
    yield* router.add("GET", "/docs", docs.page)
    yield* add("*", "/*", noSuchRoute)
  })
)

const noSuchRoute = Exchange.handle(({ request }) => Effect.fail(new NoSuchRoute({ method: request.method })))
