// The audit log over REST.
import { InvalidCursor, RunError } from "@fastagentic/core/run/RunError"
import { Effect, Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"
import * as Responses from "./Responses.ts"
import * as Route from "./Route.ts"
import * as Schemas from "./Schemas.ts"

const Query = Schema.Struct({
  order: Schema.optionalKey(Schema.Literals(["newest", "oldest"])),
  ...Schemas.PageQuery.fields
})

/** The entries of the caller's tenant, newest first by default; `after` is the number of the previous page's last entry. */
const list = Route.make(
  "audit",
  HttpApiEndpoint.get("list", "/audit", {
    query: Query.fields,
    success: Schemas.pageOf(Schemas.AuditEntry),
    error: Responses.problems(...Responses.refusals)
  }).annotateMerge(Responses.summary("The tenant's audit log, for callers with the scope audit:read")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { after, limit, order } = yield* queryOf(context)
    const items = yield* context.runtime.audit(context.caller, {
      limit,
      ...(order === "oldest" ? { after: after ?? 0 } : { before: after })
    })
    const last = items.at(-1)?.seq
    const more = items.length === limit && last !== undefined && (order === "oldest" || last > 1)
    return HttpServerResponse.jsonUnsafe({ items, next: more ? String(last) : null })
  }))
)

const queryOf = (context: RequestContext.RequestContext) =>
  RequestContext.queryAs(context, Query).pipe(
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

export const routes: ReadonlyArray<Route.Route> = [list]
