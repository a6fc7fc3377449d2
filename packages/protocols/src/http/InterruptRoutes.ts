// Open decisions of a tenant, over REST.
import { escapeUnseen } from "@fastagentic/core/base/VisibleText"
import { largeFields } from "@fastagentic/core/run/Interrupt"
import { Effect } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"
import * as Responses from "./Responses.ts"
import * as Route from "./Route.ts"
import * as Schemas from "./Schemas.ts"

/**
 * The decisions that the caller may take, those of the newest runs first; all of a run are on one page. Large values are
 * left out unless `?fields=` asks for them.
 */
const pending = Route.make(
  "interrupts",
  HttpApiEndpoint.get("pending", "/interrupts", {
    query: Schemas.InterruptQuery.fields,
    success: Schemas.pageOf(Schemas.InterruptSummary),
    error: Responses.problems(...Responses.refusals)
  }).annotateMerge(Responses.summary("The open decisions that the caller may take")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { caller, runtime } = context
    const { after, fields, limit = 50 } = yield* RequestContext.queryAs(context, Schemas.InterruptQuery)
    const { items, next = null } = yield* runtime.pending(caller, {
      before: after,
      limit,
      fields: Schemas.namedIn(largeFields, fields)
    })
    // Escapes are the same JSON, and a page that shows the text of the answer hides nothing.
    const text = escapeUnseen(JSON.stringify({ items, next }))
    return HttpServerResponse.text(text, { contentType: "application/json" })
  }))
)

export const routes: ReadonlyArray<Route.Route> = [pending]
