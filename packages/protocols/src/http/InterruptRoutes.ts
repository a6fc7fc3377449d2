// What waits for a decision, over REST.
import { Effect } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"
import * as Schemas from "./Schemas.ts"

/**
 * `GET /interrupts`: of all runs of the tenant what the caller may decide, those of the newest runs first. All of a run are on
 * one page. The newest 2,000 runs that wait are looked at.
 */
export const list = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const { caller, runtime } = exchange
  const { after, limit = 50 } = yield* RequestContext.queryAs(exchange, Schemas.PageQuery)
  const { items, next = null } = yield* runtime.pending(caller, { before: after, limit })
  return HttpServerResponse.jsonUnsafe({ items, next })
}))
