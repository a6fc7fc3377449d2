// Open decisions of a tenant, over REST.
import { Effect } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"
import * as Responses from "./Responses.ts"
import * as Route from "./Route.ts"
import * as Schemas from "./Schemas.ts"

/**
 * The decisions that the caller may take, those of the newest runs first; all of a run are on one page. The newest 2,000
 * waiting runs are read.
 */
const pending = Route.make(
  "interrupts",
  HttpApiEndpoint.get("pending", "/interrupts", {
    query: Schemas.PageQuery.fields,
    success: Schemas.pageOf(Schemas.Interrupt),
    error: Responses.problems(...Responses.refusals)
  }).annotateMerge(Responses.summary("The open decisions that the caller may take")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { caller, runtime } = context
    const { after, limit = 50 } = yield* RequestContext.queryAs(context, Schemas.PageQuery)
    const { items, next = null } = yield* runtime.pending(caller, { before: after, limit })
    return HttpServerResponse.jsonUnsafe({ items, next })
  }))
)

export const routes: ReadonlyArray<Route.Route> = [pending]
