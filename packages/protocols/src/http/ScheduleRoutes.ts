// Schedules over REST: reading, making, changing, pausing and removing them, with the scope `schedules:manage`.
import { Effect, Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"
import * as Responses from "./Responses.ts"
import * as Route from "./Route.ts"
import * as Schemas from "./Schemas.ts"

const optional = Schema.optionalKey
const params = { id: Schema.String }
const error = Responses.aboutOne

const Missed = Schema.Literals(["skip", "once", "all"])
const Overlap = Schema.Literals(["skip", "queue", "allow"])

/** A schedule and its state; times are Unix milliseconds. */
const Status = Schema.Struct({
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
const Details = Schema.Struct({
  ...Status.fields,
  payload: Schema.Json,
  scopes: Schema.Array(Schema.String)
}).annotate({ identifier: "ScheduleDetails" })

const created = Details.annotate({ httpApiStatus: 201 })

/** A schedule to make, or to put in the place of another. */
const Request = Schema.Struct({
  agent: Schema.String,
  cron: Schema.String,
  timeZone: optional(Schema.String),
  payload: Schema.Json,
  missed: optional(Missed),
  overlap: optional(Overlap),
  scopes: optional(Schema.Array(Schema.String))
})

const list = Route.make(
  "schedules",
  HttpApiEndpoint.get("list", "/schedules", {
    success: Schemas.pageOf(Status),
    error: Responses.problems(...Responses.refusals)
  }).annotateMerge(Responses.summary("The schedules of the tenant, with the scope schedules:manage")),
  RequestContext.handle(Effect.fnUntraced(function*({ caller, runtime }) {
    return HttpServerResponse.jsonUnsafe({ items: yield* runtime.schedules(caller), next: null })
  }))
)

const get = Route.make(
  "schedules",
  HttpApiEndpoint.get("get", "/schedules/:id", { params, success: Details, error }).annotateMerge(
    Responses.summary("A schedule")
  ),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { caller, runtime } = context
    return HttpServerResponse.jsonUnsafe(yield* runtime.schedule(caller, RequestContext.param(context, "id")))
  }))
)

/** 201 for a new schedule, 200 for a changed one. */
const write = (call: "createSchedule" | "putSchedule") =>
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const id = RequestContext.param(context, "id")
    const request = yield* RequestContext.bodyAs(context, Request)
    const { created, schedule } = yield* context.runtime[call](context.caller, id, request)
    return HttpServerResponse.jsonUnsafe(schedule, {
      status: created ? 201 : 200,
      headers: { location: `/schedules/${id}` }
    })
  }))

const create = Route.make(
  "schedules",
  HttpApiEndpoint.post("create", "/schedules/:id", { params, payload: Request, success: [Details, created], error })
    .annotateMerge(Responses.summary("Make a schedule whose runs act for the caller")),
  write("createSchedule")
)

const put = Route.make(
  "schedules",
  HttpApiEndpoint.put("put", "/schedules/:id", { params, payload: Request, success: [Details, created], error })
    .annotateMerge(Responses.summary("Make or replace a schedule; its runs act for the caller then")),
  write("putSchedule")
)

/** 204; the runs that the schedule has started stay. */
const remove = Route.make(
  "schedules",
  HttpApiEndpoint.delete("remove", "/schedules/:id", { params, success: HttpApiSchema.NoContent, error })
    .annotateMerge(Responses.summary("Remove a schedule; the runs that it has started stay")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    yield* context.runtime.removeSchedule(context.caller, RequestContext.param(context, "id"))
    return HttpServerResponse.empty({ status: 204 })
  }))
)

/** 202 with a run that does not wait for the next tick. */
const run = Route.make(
  "schedules",
  HttpApiEndpoint.post("run", "/schedules/:id/run", {
    params,
    headers: Responses.idempotencyKey,
    success: Responses.accepted,
    error
  }).annotateMerge(Responses.summary("Start a run of a schedule now")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const key = context.request.headers["idempotency-key"] || undefined
    const { run } = yield* context.runtime.runSchedule(context.caller, RequestContext.param(context, "id"), key)
    return HttpServerResponse.jsonUnsafe(Schemas.runOf(run), {
      status: 202,
      headers: { "x-run-id": run.runId, location: `/runs/${run.runId}` }
    })
  }))
)

const setPaused = (paused: boolean) =>
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { caller, runtime } = context
    return HttpServerResponse.jsonUnsafe(
      yield* runtime.pauseSchedule(caller, RequestContext.param(context, "id"), paused)
    )
  }))

const pause = Route.make(
  "schedules",
  HttpApiEndpoint.post("pause", "/schedules/:id/pause", { params, success: Status, error }).annotateMerge(
    Responses.summary("Start no runs of a schedule until it is resumed")
  ),
  setPaused(true)
)

const resume = Route.make(
  "schedules",
  HttpApiEndpoint.post("resume", "/schedules/:id/resume", { params, success: Status, error }).annotateMerge(
    Responses.summary("Start runs of a paused schedule again")
  ),
  setPaused(false)
)

export const routes: ReadonlyArray<Route.Route> = [list, get, create, put, remove, run, pause, resume]
