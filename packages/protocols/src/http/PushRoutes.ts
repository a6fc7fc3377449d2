// Push targets whose deliveries were given up over REST, with the scope `push:manage`: the tenant's own.
import { Effect, Predicate, Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"
import * as Responses from "./Responses.ts"
import * as Route from "./Route.ts"
import * as Schemas from "./Schemas.ts"

/** A target without what its protocol keeps of it, which has sealed credentials. */
const Dead = Schema.Struct({
  runId: Schema.String,
  id: Schema.String,
  url: Schema.NullOr(Schema.String),
  cursor: Schema.Int,
  attempts: Schema.Int,
  problem: Schema.String,
  keptUntil: Schema.String
}).annotate({ identifier: "DeadPushTarget" })

const dead = Route.make(
  "push",
  HttpApiEndpoint.get("dead", "/push/dead", {
    success: Schemas.pageOf(Dead),
    error: Responses.problems(...Responses.refusals)
  }).annotateMerge(Responses.summary("The push targets of the tenant whose deliveries were given up")),
  RequestContext.handle(Effect.fnUntraced(function*({ caller, runtime }) {
    const items = yield* runtime.push.dead(caller)
    return HttpServerResponse.jsonUnsafe({
      items: items.map(({ config, keptUntil, ...target }) => ({
        ...target,
        url: Predicate.hasProperty(config, "url") && typeof config.url === "string" ? config.url : null,
        keptUntil: new Date(keptUntil).toISOString()
      })),
      next: null
    })
  }))
)

const Which = Schema.Struct({ runId: Schema.optionalKey(Schema.String), id: Schema.optionalKey(Schema.String) })
const Redriven = Schema.Struct({ items: Schema.Array(Schema.Struct({ runId: Schema.String, id: Schema.String })) })

const redrive = Route.make(
  "push",
  HttpApiEndpoint.post("redrive", "/push/redrive", {
    payload: Which,
    success: Redriven.annotate({ identifier: "PushRedriven" }),
    error: Responses.problems(...Responses.refusals, 404)
  }).annotateMerge(Responses.summary("Delivers again to the dead push targets of a run, or of the tenant")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const which = yield* RequestContext.bodyAs(context, Which)
    return HttpServerResponse.jsonUnsafe({ items: yield* context.runtime.push.redrive(context.caller, which) })
  }))
)

export const routes: ReadonlyArray<Route.Route> = [dead, redrive]
