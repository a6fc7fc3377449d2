// REST, server-sent events, WebSocket, the chat front ends and the OpenAPI document on a router. Mount serves them.
import { Auth } from "@fastagentic/core/door/Auth"
import { Runtime } from "@fastagentic/core/operations/Runtime"
import { Effect, type Layer } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import { AgentRegistry } from "../a2a/AgentRegistry.ts"
import { RequestLimits } from "../internal/requestLimits.ts"
import * as RpcRoutes from "../rpc/RpcRoutes.ts"
import * as Challenge from "./Challenge.ts"
import * as DocsRoutes from "./DocsRoutes.ts"
import { MethodNotAllowed, NoSuchRoute } from "./Problem.ts"
import * as RequestContext from "./RequestContext.ts"
import type { Route, Served } from "./Route.ts"
import * as Routes from "./Routes.ts"
import * as WebSocketRoute from "./WebSocketRoute.ts"

/** The methods of requests without a route, which may have one of another method. HEAD is answered from GET. */
const otherMethods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const

const makeNoRoute = (routes: ReadonlyArray<Served>) => {
  const patterns = routes.map(({ method, path }) => ({
    method,
    pattern: new RegExp(`^${path.replace("/*", "(/.*)?").replaceAll(/:\w+/gu, "[^/]+")}$`, "u")
  }))
  return RequestContext.open(({ request: { method, url } }) => {
    const path = url.split("?")[0] ?? ""
    const allowed = patterns.filter(({ pattern }) => pattern.test(path)).map((served) => served.method)
    const isOtherMethod = allowed.length > 0 && !allowed.some((one) => one === method)
    return Effect.fail(isOtherMethod ? new MethodNotAllowed({ method, allowed }) : new NoSuchRoute({ method }))
  })
}

/** Adds the routes of REST and of effect/rpc, if they are served, and those of the chat front ends to the router. */
export const layer = (
  { frontEnds = [], rest = true, rpc = false }: {
    readonly rest?: boolean
    readonly rpc?: boolean
    readonly frontEnds?: ReadonlyArray<Route>
  } = {}
): Layer.Layer<never, never, HttpRouter.HttpRouter | Runtime | Auth> =>
  HttpRouter.use((router) =>
    Effect.gen(function*() {
      const runtime = yield* Runtime
      const auth = yield* Auth
      const limits = yield* RequestLimits
      const registry = yield* AgentRegistry
      const described = rest ? [...Routes.all, ...frontEnds] : frontEnds
      const routes: ReadonlyArray<Served> = [
        ...described,
        ...(rest
          ? [
            ...yield* DocsRoutes.make(described),
            { method: "GET", path: "/ws", handler: yield* WebSocketRoute.make } as const
          ]
          : []),
        ...(rpc ? yield* RpcRoutes.make(runtime) : [])
      ]
      for (const { handler, method, path } of routes) {
        const answer = Challenge.withSchemes(auth, handler)(runtime, limits)
        // One route alone reads the registry: the others have nothing to copy.
        yield* router.add(
          method,
          path,
          path === "/agents" ? Effect.provideService(answer, AgentRegistry, registry) : answer
        )
      }
      const noRoute = makeNoRoute(routes)(runtime, limits)
      for (const method of otherMethods) yield* router.add(method, "/*", noRoute)
    })
  )
