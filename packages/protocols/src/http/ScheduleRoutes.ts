// Schedules over REST: reading, making, changing, pausing and removing them, with the scope `schedules:manage`.
import { Effect, Schema } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"
import * as Schemas from "./Schemas.ts"

const optional = Schema.optionalKey

const Missed = Schema.Literals(["skip", "once", "all"])
const Overlap = Schema.Literals(["skip", "queue", "allow"])

/** A schedule as it stands; times are Unix milliseconds. */
export const Status = Schema.Struct({
  id: Schema.String,
  agent: Schema.String,
  cron: Schema.String,
  timeZone: Schema.String,
  missed: Missed,
  overlap: Overlap,
  owner: Schema.String,
  declared: Schema.Boolean,
  paused: Schema.Boolean,
  next: optional(Schema.Int),
  last: optional(Schema.Int),
  lastRunId: optional(Schema.String),
  waiting: optional(Schema.Int),
  problem: optional(Schema.String)
}).annotate({ identifier: "Schedule" })

/** A schedule with the payload and the scopes of its runs. */
export const Details = Schema.Struct({
  ...Status.fields,
  payload: Schema.Json,
  scopes: Schema.Array(Schema.String)
}).annotate({ identifier: "ScheduleDetails" })

/** A schedule to make, or to put in the place of one. */
export const Request = Schema.Struct({
  agent: Schema.String,
  cron: Schema.String,
  timeZone: optional(Schema.String),
  payload: Schema.Json,
  missed: optional(Missed),
  overlap: optional(Overlap),
  scopes: optional(Schema.Array(Schema.String))
}).annotate({ identifier: "ScheduleRequest" })

/** `GET /schedules`: the schedules of the tenant. */
export const list = RequestContext.handle(Effect.fnUntraced(function*({ caller, runtime }) {
  return HttpServerResponse.jsonUnsafe({ items: yield* runtime.schedules(caller), next: null })
}))

/** `GET /schedules/{id}`. */
export const get = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  return HttpServerResponse.jsonUnsafe(
    yield* exchange.runtime.schedule(exchange.caller, RequestContext.param(exchange, "id"))
  )
}))

/** `POST /schedules/{id}` makes a schedule, `PUT` makes or replaces it: 201 for a new one. */
export const write = (call: "createSchedule" | "putSchedule") =>
  RequestContext.handle(Effect.fnUntraced(function*(exchange) {
    const id = RequestContext.param(exchange, "id")
    const request = yield* RequestContext.bodyAs(exchange, Request)
    const { created, schedule } = yield* exchange.runtime[call](exchange.caller, id, request)
    return HttpServerResponse.jsonUnsafe(schedule, {
      status: created ? 201 : 200,
      headers: { location: `/schedules/${id}` }
    })
  }))

/** `DELETE /schedules/{id}`: 204; the runs that it has started stay. */
export const remove = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  yield* exchange.runtime.removeSchedule(exchange.caller, RequestContext.param(exchange, "id"))
  return HttpServerResponse.empty({ status: 204 })
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
