// The audit trail over REST.
import { InvalidCursor, RunError } from "@fastagentic/core/run/RunError"
import { Effect, Schema } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"
import * as Schemas from "./Schemas.ts"

export const Query = Schema.Struct({
  order: Schema.optionalKey(Schema.Literals(["newest", "oldest"])),
  ...Schemas.PageQuery.fields
})

/**
 * `GET /audit`: the entries of the caller's tenant, newest first unless asked otherwise; `after` is the number of the
 * last entry of the page before.
 */
export const list = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const { after, limit, order } = yield* queryOf(exchange)
  const items = yield* exchange.runtime.audit(exchange.caller, {
    limit,
    ...(order === "oldest" ? { after: after ?? 0 } : { before: after })
  })
  const last = items.at(-1)?.seq
  const more = items.length === limit && last !== undefined && (order === "oldest" || last > 1)
  return HttpServerResponse.jsonUnsafe({ items, next: more ? String(last) : null })
}))

const queryOf = (exchange: RequestContext.RequestContext) =>
  RequestContext.queryAs(exchange, Query).pipe(
    Effect.filterOrFail(
      ({ after = "0" }) => /^\d{1,15}$/u.test(after),
      ({ after = "" }) =>
        new RunError({ reason: new InvalidCursor({ cursor: after, reason: "a cursor is the number of an entry" }) })
    ),
    Effect.map(({ after, limit = 50, order = "newest" }) => ({
      limit,
      order,
      after: after === undefined ? undefined : Number(after)
    }))
  )
