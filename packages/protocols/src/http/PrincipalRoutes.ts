// Taking principals of the tenant out of service over REST, with the scope `principals:manage`.
import { Effect, Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"
import * as Responses from "./Responses.ts"
import * as Route from "./Route.ts"

/** How many keys were revoked, how many schedules were paused, and how many runs were changed. */
const Changed = Schema.Struct({ keys: Schema.Int, schedules: Schema.Int, runs: Schema.Int }).annotate({
  identifier: "PrincipalChanged"
})

const summaries = {
  revoke: "Disables a principal of the tenant, revokes its keys, pauses its schedules and holds its runs",
  restore: "Enables a principal of the tenant; its held runs continue if they may",
  cancel: "Pauses the schedules of a principal of the tenant and cancels all its runs"
}

const change = (change: keyof typeof summaries) =>
  Route.make(
    "principals",
    HttpApiEndpoint.post(change, `/principals/:id/${change}`, {
      params: { id: Schema.String },
      success: Changed,
      error: Responses.problems(...Responses.refusals)
    }).annotateMerge(Responses.summary(`${summaries[change]}, with the scope principals:manage`)),
    RequestContext.handle(Effect.fnUntraced(function*(context) {
      const { caller, runtime } = context
      const id = RequestContext.param(context, "id")
      return HttpServerResponse.jsonUnsafe(yield* runtime.changePrincipal(caller, id, change))
    }))
  )

export const routes: ReadonlyArray<Route.Route> = [change("revoke"), change("restore"), change("cancel")]
