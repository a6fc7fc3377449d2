// Looking at schedules and steering them over REST, with the scope `schedules:manage`.
import { Effect, Schema } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"
import * as Schemas from "./Schemas.ts"

const optional = Schema.optionalKey

/** A schedule as it stands; times are Unix milliseconds. */
export const Status = Schema.Struct({
  id: Schema.String,
  agent: Schema.String,
  cron: Schema.String,
  timeZone: Schema.String,
  missed: Schema.Literals(["skip", "once", "all"]),
  owner: Schema.String,
  paused: Schema.Boolean,
  next: optional(Schema.Int),
  last: optional(Schema.Int)
}).annotate({ identifier: "Schedule" })

/** `GET /schedules`: those of the tenant. */
export const list = RequestContext.handle(Effect.fnUntraced(function*({ caller, runtime }) {
  return HttpServerResponse.jsonUnsafe({ items: yield* runtime.schedules(caller), next: null })
}))

/** `POST /schedules/{id}/run`: 202 with a run that does not wait for the next tick. */
export const run = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const key = exchange.request.headers["idempotency-key"] || undefined
  const { run } = yield* exchange.runtime.runSchedule(exchange.caller, RequestContext.param(exchange, "id"), key)
  return HttpServerResponse.jsonUnsafe(Schemas.runOf(run), {
    status: 202,
    headers: { "x-run-id": run.runId, location: `/runs/${run.runId}` }
  })
}))

/** `POST /schedules/{id}/pause` and `…/resume`. */
export const pause = (paused: boolean) =>
  RequestContext.handle(Effect.fnUntraced(function*(exchange) {
    const { caller, runtime } = exchange
    return HttpServerResponse.jsonUnsafe(
      yield* runtime.pauseSchedule(caller, RequestContext.param(exchange, "id"), paused)
    )
  }))
