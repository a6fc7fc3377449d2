// Reading runs, deciding about them and ending them over REST.
import { Answer } from "@fastagentic/core/run/Interrupt"
import { InterruptNotFound, InvalidCursor, RunError } from "@fastagentic/core/run/RunError"
import { isFinal, type RunRecord } from "@fastagentic/core/run/RunRecord"
import { largeFields } from "@fastagentic/core/store/RecordFields"
import { Effect, Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { isRunId } from "../internal/isRunId.ts"
import { accepted } from "./AgentRoutes.ts"
import * as EventStream from "./EventStream.ts"
import * as RequestContext from "./RequestContext.ts"
import * as Responses from "./Responses.ts"
import * as Route from "./Route.ts"
import * as Schemas from "./Schemas.ts"

const optional = Schema.optionalKey
const params = { runId: Schema.String }
const error = Responses.aboutOne

/** How many events one page of JSON has. */
const pageSize = 500

const runJson = (run: RunRecord, status = 200) =>
  HttpServerResponse.jsonUnsafe(Schemas.runOf(run), { status, headers: { "x-run-id": run.runId } })

/** 202 while the run continues. */
const changedRun = (run: RunRecord) => runJson(run, isFinal(run.state) ? 200 : 202)

const runIdOf = (context: RequestContext.RequestContext) => RequestContext.param(context, "runId")

const list = Route.make(
  "runs",
  HttpApiEndpoint.get("list", "/runs", {
    query: Schemas.RunQuery.fields,
    success: Schemas.pageOf(Schemas.RunSummary),
    error: Responses.problems(...Responses.refusals)
  }).annotateMerge(Responses.summary("The caller's runs, the newest first")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { after, fields, limit = 50, ...filter } = yield* listQueryOf(context)
    const { items, next = null } = yield* context.runtime.list(context.caller, {
      ...filter,
      limit,
      fields: Schemas.namedIn(largeFields, fields),
      ...(after === undefined ? {} : { before: after })
    })
    return HttpServerResponse.jsonUnsafe({ items: items.map(Schemas.summaryOf), next })
  }))
)

const listQueryOf = (context: RequestContext.RequestContext) =>
  RequestContext.queryAs(context, Schemas.RunQuery).pipe(
    Effect.filterOrFail(
      ({ after }) => after === undefined || isRunId(after),
      ({ after = "" }) =>
        new RunError({ reason: new InvalidCursor({ cursor: after, reason: "a cursor is the id of a run" }) })
    )
  )

const get = Route.make(
  "runs",
  HttpApiEndpoint.get("get", "/runs/:runId", { params, success: Schemas.Run, error }).annotateMerge(
    Responses.summary("A run, with its payload and its answer or error")
  ),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    return runJson(yield* context.runtime.get(context.caller, runIdOf(context)))
  }))
)

/**
 * The journal after `Last-Event-ID` or `?after=`: a stream that stays open until the run has ended, or one page when JSON
 * is accepted only. A reader that has seen the end gets 204, which makes an EventSource stop.
 */
const events = Route.make(
  "runs",
  HttpApiEndpoint.get("events", "/runs/:runId/events", {
    params,
    query: { after: optional(Schema.String) },
    headers: { "last-event-id": optional(Schema.String) },
    success: [Schemas.pageOf(Responses.RunEvent), Responses.journal, HttpApiSchema.NoContent],
    error
  }).annotateMerge(Responses.summary("The journal of a run, as a stream or a page")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const runId = runIdOf(context)
    const { events, follow, run } = yield* context.runtime.open(context.caller, runId)
    const after = yield* cursorOf(context)
    if (wantsJson(context)) {
      const items = yield* events({ after, limit: pageSize })
      const last = items.at(-1)?.seq ?? after
      return HttpServerResponse.jsonUnsafe({
        items,
        next: last < run.seq || items.length === pageSize ? String(last) : null
      })
    }
    if (isFinal(run.state) && after === run.seq) return HttpServerResponse.empty({ status: 204 })
    return EventStream.response(yield* follow({ after, until: "final" }), { "x-run-id": runId })
  }))
)

const cursorOf = (context: RequestContext.RequestContext) => {
  const cursor = context.request.headers["last-event-id"] ?? context.query.get("after") ?? "0"
  return /^\d{1,15}$/u.test(cursor)
    ? Effect.succeed(Number(cursor))
    : Effect.fail(new RunError({ reason: new InvalidCursor({ cursor, reason: "a cursor is an event number" }) }))
}

const wantsJson = (context: RequestContext.RequestContext) => {
  const accept = context.request.headers["accept"] ?? ""
  return accept.includes("application/json") && !accept.includes("text/event-stream")
}

const Cancel = Schema.Struct({ reason: optional(Schema.String) })

const cancel = Route.make(
  "runs",
  HttpApiEndpoint.post("cancel", "/runs/:runId/cancel", {
    params,
    payload: Cancel,
    success: [Schemas.Run, Responses.accepted],
    error
  }).annotateMerge(Responses.summary("End a run, and the runs that it has started")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { reason } = yield* RequestContext.bodyAs(context, Cancel)
    return changedRun(yield* context.runtime.cancel(context.caller, runIdOf(context), reason))
  }))
)

const resume = Route.make(
  "runs",
  HttpApiEndpoint.post("resume", "/runs/:runId/resume", {
    params,
    success: [Schemas.Run, Responses.accepted],
    error
  }).annotateMerge(Responses.summary("Continue a run that waits for no decision, or that is held for repair")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    return changedRun(yield* context.runtime.resume(context.caller, runIdOf(context)))
  }))
)

/** Commits after which the run can be forked, oldest first. */
const checkpoints = Route.make(
  "runs",
  HttpApiEndpoint.get("checkpoints", "/runs/:runId/checkpoints", {
    params,
    success: Schemas.pageOf(Schemas.Checkpoint),
    error
  }).annotateMerge(Responses.summary("The steps of a run, each with the event that committed it")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const items = yield* context.runtime.checkpoints(context.caller, runIdOf(context))
    return HttpServerResponse.jsonUnsafe({ items, next: null })
  }))
)

/** The event to fork after; the last one unless given. */
const Fork = Schema.Struct({ after: optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))) })

const fork = Route.make(
  "runs",
  HttpApiEndpoint.post("fork", "/runs/:runId/fork", {
    params,
    payload: Fork,
    headers: Responses.idempotencyKey,
    success: [Responses.accepted, Responses.suspended],
    error
  }).annotateMerge(Responses.summary("A new run that continues from a commit of this one")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { after } = yield* RequestContext.bodyAs(context, Fork)
    const idempotencyKey = context.request.headers["idempotency-key"] || undefined
    const forked = yield* context.runtime.fork(context.caller, runIdOf(context), { after, idempotencyKey })
    return yield* accepted(forked, forked.run)
  }))
)

const retry = Route.make(
  "runs",
  HttpApiEndpoint.post("retry", "/runs/:runId/retry", {
    params,
    success: [Responses.accepted, Responses.suspended],
    error
  }).annotateMerge(
    Responses.summary("A new run that continues where this one failed; a caller has one retry of a run")
  ),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    yield* RequestContext.bodyAs(context, Schema.Struct({}))
    const retried = yield* context.runtime.retry(context.caller, runIdOf(context))
    return yield* accepted(retried, retried.run)
  }))
)

const interrupts = Route.make(
  "runs",
  HttpApiEndpoint.get("interrupts", "/runs/:runId/interrupts", {
    params,
    success: Schemas.pageOf(Schemas.Interrupt),
    error
  }).annotateMerge(Responses.summary("The open decisions of a run")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const items = yield* context.runtime.interrupts(context.caller, runIdOf(context))
    return HttpServerResponse.jsonUnsafe({ items, next: null })
  }))
)

const interruptParams = { ...params, id: Schema.String }

const interrupt = Route.make(
  "runs",
  HttpApiEndpoint.get("interrupt", "/runs/:runId/interrupts/:id", {
    params: interruptParams,
    success: Schemas.Interrupt,
    error
  }).annotateMerge(Responses.summary("One decision of a run")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const [runId, id] = [runIdOf(context), RequestContext.param(context, "id")]
    const all = yield* context.runtime.interrupts(context.caller, runId)
    const found = all.find((one) => one.id === id)
    if (found === undefined) return yield* new RunError({ reason: new InterruptNotFound({ runId, id }) })
    return HttpServerResponse.jsonUnsafe(found)
  }))
)

const answer = Route.make(
  "runs",
  HttpApiEndpoint.post("answer", "/runs/:runId/interrupts/:id", {
    params: interruptParams,
    headers: Responses.idempotencyKey,
    payload: Answer,
    success: [Schemas.Run, Responses.accepted],
    error
  }).annotateMerge(Responses.summary("Decide: approve, deny, or edit")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const decision = yield* RequestContext.bodyAs(context, Answer)
    const id = RequestContext.param(context, "id")
    const key = context.request.headers["idempotency-key"] || undefined
    return changedRun(yield* context.runtime.answer(context.caller, runIdOf(context), id, decision, key))
  }))
)

const Answers = Schema.NonEmptyArray(Schema.Struct({ id: Schema.String, ...Answer.fields }))

/** Several decisions of one run in one request. */
const answerAll = Route.make(
  "runs",
  HttpApiEndpoint.post("answerAll", "/runs/:runId/interrupts", {
    params,
    headers: Responses.idempotencyKey,
    payload: Answers,
    success: [Schemas.Run, Responses.accepted],
    error
  }).annotateMerge(Responses.summary("Decide several questions of a run at once, all or none")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    // A run of somebody else looks like no run, whatever the list is.
    yield* context.runtime.interrupts(context.caller, runIdOf(context))
    const answers = yield* RequestContext.bodyAs(context, Answers)
    const key = context.request.headers["idempotency-key"] || undefined
    return changedRun(yield* context.runtime.answerAll(context.caller, runIdOf(context), answers, key))
  }))
)

/** 202: the message is kept until the run takes it. */
const signal = Route.make(
  "runs",
  HttpApiEndpoint.post("signal", "/runs/:runId/signals/:name", {
    params: { ...params, name: Schema.String },
    headers: Responses.idempotencyKey,
    payload: Schema.Json,
    success: Responses.accepted,
    error
  }).annotateMerge(Responses.summary("Send a message that the run's agent declares")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const run = yield* context.runtime.signal(context.caller, runIdOf(context), {
      signal: RequestContext.param(context, "name"),
      payload: yield* RequestContext.body(context),
      idempotencyKey: context.request.headers["idempotency-key"] || undefined
    })
    return runJson(run, 202)
  }))
)

export const routes: ReadonlyArray<Route.Route> = [
  list,
  get,
  events,
  cancel,
  resume,
  checkpoints,
  fork,
  retry,
  interrupts,
  interrupt,
  answer,
  answerAll,
  signal
]
