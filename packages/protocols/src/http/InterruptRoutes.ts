/**
 * What waits for a decision, over REST.
 *
 * @since 0.1.0
 */
import { Effect, Schema } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"

const optional = Schema.optionalKey

const Query = Schema.Struct({
  after: optional(Schema.String),
  limit: optional(Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: 200 })))
})

/**
 * `GET /interrupts`: of all runs of the tenant what the caller may decide, those of the newest runs first. All of a run are on
 * one page. The newest 2,000 runs that wait are looked at.
 *
 * @category routes
 * @since 0.1.0
 */
export const list = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const { caller, runtime } = exchange
  const { after, limit = 50 } = yield* RequestContext.queryAs(exchange, Query)
  const { items, next = null } = yield* runtime.pending(caller, { before: after, limit })
  return HttpServerResponse.jsonUnsafe({ items, next })
}))
