/**
 * REST, server-sent events and the documents that describe them.
 *
 * @since 0.1.0
 */
import { Auth } from "@fastagentic/core/door/Auth"
import { Runtime } from "@fastagentic/core/operations/Runtime"
import { Effect, Layer } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerError from "effect/http/HttpServerError"
import * as AgentRoutes from "./AgentRoutes.ts"
import * as AuditRoutes from "./AuditRoutes.ts"
import * as CatalogRoutes from "./CatalogRoutes.ts"
import * as Challenge from "./Challenge.ts"
import * as InterruptRoutes from "./InterruptRoutes.ts"
import { MethodNotAllowed, NoSuchRoute } from "./Problem.ts"
import * as RequestContext from "./RequestContext.ts"
import * as RunRoutes from "./RunRoutes.ts"
import * as ScheduleRoutes from "./ScheduleRoutes.ts"
import * as SystemRoutes from "./SystemRoutes.ts"
import * as UsageRoute from "./UsageRoute.ts"
import * as WebSocketRoute from "./WebSocketRoute.ts"

type Method = "GET" | "POST" | "PUT" | "DELETE"
type Route = readonly [method: Method, path: `/${string}`, route: RequestContext.Route]

const routesOf = (docs: Effect.Success<typeof SystemRoutes.makeDocs>): ReadonlyArray<Route> => [
  ["GET", "/agents", CatalogRoutes.listCallables("agents")],
  ["POST", "/agents/:identifier", AgentRoutes.call("agent")],
  ["POST", "/agents/:identifier/stream", AgentRoutes.stream],
  ["POST", "/agents/:identifier/runs", AgentRoutes.background],
  ["GET", "/tools", CatalogRoutes.listCallables("tools")],
  ["POST", "/tools/:identifier", AgentRoutes.call("tool")],
  ["GET", "/resources", CatalogRoutes.listResources],
  ["GET", "/resources/:identifier/*", CatalogRoutes.readResource],
  ["GET", "/prompts", CatalogRoutes.listPrompts],
  ["POST", "/prompts/:identifier", CatalogRoutes.renderPrompt],
  ["GET", "/runs", RunRoutes.list],
  ["GET", "/runs/:runId", RunRoutes.get],
  ["GET", "/runs/:runId/events", RunRoutes.events],
  ["POST", "/runs/:runId/cancel", RunRoutes.cancel],
  ["POST", "/runs/:runId/resume", RunRoutes.resume],
  ["GET", "/interrupts", InterruptRoutes.list],
  ["GET", "/runs/:runId/checkpoints", RunRoutes.checkpoints],
  ["POST", "/runs/:runId/fork", RunRoutes.fork],
  ["POST", "/runs/:runId/retry", RunRoutes.retry],
  ["GET", "/runs/:runId/interrupts", RunRoutes.interrupts],
  ["GET", "/runs/:runId/interrupts/:id", RunRoutes.interrupt],
  ["POST", "/runs/:runId/interrupts/:id", RunRoutes.answer],
  ["GET", "/schedules", ScheduleRoutes.list],
  ["GET", "/schedules/:id", ScheduleRoutes.get],
  ["POST", "/schedules/:id", ScheduleRoutes.write("createSchedule")],
  ["PUT", "/schedules/:id", ScheduleRoutes.write("putSchedule")],
  ["DELETE", "/schedules/:id", ScheduleRoutes.remove],
  ["POST", "/schedules/:id/run", ScheduleRoutes.run],
  ["POST", "/schedules/:id/pause", ScheduleRoutes.pause(true)],
  ["POST", "/schedules/:id/resume", ScheduleRoutes.pause(false)],
  ["GET", "/audit", AuditRoutes.list],
  ["GET", "/usage", UsageRoute.route],
  ["GET", "/health", SystemRoutes.health],
  ["GET", "/ready", SystemRoutes.ready],
  ["GET", "/metrics", SystemRoutes.metrics],
  ["GET", "/openapi.json", docs.openapi],
  ["GET", "/docs", docs.page]
]

/** What the router has no route for: another method may be served there. HEAD is not here, it is answered from GET. */
const elsewhere = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const

const makeNoRoute = (routes: ReadonlyArray<Route>) => {
  const patterns = routes.map(([method, path]) => ({
    method,
    pattern: new RegExp(`^${path.replace("/*", "(/.*)?").replaceAll(/:\w+/gu, "[^/]+")}$`, "u")
  }))
  return RequestContext.open(({ request: { method, url } }) => {
    const path = url.split("?")[0] ?? ""
    const allowed = patterns.filter(({ pattern }) => pattern.test(path)).map((served) => served.method)
    const isElsewhere = allowed.length > 0 && !allowed.some((one) => one === method)
    return Effect.fail(isElsewhere ? new MethodNotAllowed({ method, allowed }) : new NoSuchRoute({ method }))
  })
}

/** An address with broken percent signs reaches no route at all. */
const isUnreadable = (error: unknown) =>
  HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound"

/**
 * Mounts all REST routes on the router.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | Runtime | Auth> = HttpRouter.use((router) =>
  Effect.gen(function*() {
    const runtime = yield* Runtime
    const { schemes } = yield* Auth
    const routes = [
      ...routesOf(yield* SystemRoutes.makeDocs),
      ["GET", "/ws", yield* WebSocketRoute.make] as const
    ]
    for (const [method, path, route] of routes) {
      yield* router.add(method, path, Challenge.withSchemes(schemes, route)(runtime))
    }
    const noRoute = makeNoRoute(routes)(runtime)
    for (const method of elsewhere) yield* router.add(method, "/*", noRoute)
    yield* router.addGlobalMiddleware(Effect.catchIf(isUnreadable, () => RequestContext.noSuchAddress))
  })
)
