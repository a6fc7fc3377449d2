/**
 * What waits for a decision, over REST.
 *
 * @since 0.1.0
 */
import { InvalidPayload, RunError } from "@fastagentic/core/RunError"
import { Effect, Schema } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Exchange from "./Exchange.ts"
import { issuesOf } from "./internal/issues.ts"

const optional = Schema.optionalKey

const Query = Schema.Struct({
  after: optional(Schema.String),
  limit: optional(Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: 200 })))
})

const decodeQuery = Schema.decodeUnknownEffect(Query, { errors: "all", onExcessProperty: "error" })

/**
 * `GET /interrupts`: of all runs of the tenant what the caller may decide, those of the newest runs first. All of a run are on
 * one page. The newest 2,000 runs that wait are looked at.
 *
 * @category routes
 * @since 0.1.0
 */
export const list = Exchange.handle(Effect.fnUntraced(function*(exchange) {
  const { caller, query, runtime } = exchange
  const { after, limit = 50 } = yield* decodeQuery(Object.fromEntries(query)).pipe(
    Effect.mapError((error) =>
      new RunError({ reason: new InvalidPayload({ target: "query", issues: issuesOf(error) }) })
    ),
    // What is wrong with a query is for known callers only.
    Effect.tapError(() => runtime.authenticate(caller))
  )
  const { items, next = null } = yield* runtime.pending(caller, { before: after, limit })
  return HttpServerResponse.jsonUnsafe({ items, next })
}))
