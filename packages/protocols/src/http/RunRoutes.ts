// Looking at runs, deciding and ending them over REST.
import { Answer } from "@fastagentic/core/run/Interrupt"
import { InterruptNotFound, InvalidCursor, RunError } from "@fastagentic/core/run/RunError"
import { isFinal, type RunRecord } from "@fastagentic/core/run/RunRecord"
import { Effect, Schema } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { accepted } from "./AgentRoutes.ts"
import * as EventStream from "./EventStream.ts"
import * as RequestContext from "./RequestContext.ts"
import * as Schemas from "./Schemas.ts"

const optional = Schema.optionalKey

const runJson = (run: RunRecord, status = 200) =>
  HttpServerResponse.jsonUnsafe(Schemas.runOf(run), { status, headers: { "x-run-id": run.runId } })

/** `GET /runs`: newest first. */
export const list = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const { after, limit = 50, ...filter } = yield* listQueryOf(exchange)
  const runs = yield* exchange.runtime.list(exchange.caller, {
    ...filter,
    limit,
    ...(after === undefined ? {} : { before: after })
  })
  return HttpServerResponse.jsonUnsafe({
    items: runs.map(Schemas.runOf),
    next: runs.length === limit ? runs.at(-1)?.runId ?? null : null
  })
}))

const listQueryOf = (exchange: RequestContext.RequestContext) =>
  RequestContext.queryAs(exchange, Schemas.RunQuery).pipe(
    Effect.filterOrFail(
      ({ after }) => after === undefined || isRunId(after),
      ({ after = "" }) =>
        new RunError({ reason: new InvalidCursor({ cursor: after, reason: "a cursor is the id of a run" }) })
    )
  )

const isRunId = (text: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u.test(text)

/** `GET /runs/{runId}`. */
export const get = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  return runJson(yield* exchange.runtime.get(exchange.caller, RequestContext.param(exchange, "runId")))
}))

/**
 * `GET /runs/{runId}/events`: the journal after `Last-Event-ID` or `?after=`, as a stream that stays open until the run
 * has ended; as one page when JSON is asked for. A reader that has seen the end gets 204, which tells an EventSource to stop.
 */
export const events = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const runId = RequestContext.param(exchange, "runId")
  const { events, follow, run } = yield* exchange.runtime.open(exchange.caller, runId)
  const after = yield* cursorOf(exchange)
  if (wantsJson(exchange)) {
    const items = yield* events({ after, limit: 500 })
    const last = items.at(-1)?.seq ?? after
    return HttpServerResponse.jsonUnsafe({ items, next: last < run.seq ? String(last) : null })
  }
  if (isFinal(run.state) && after === run.seq) return HttpServerResponse.empty({ status: 204 })
  return EventStream.response(yield* follow({ after, until: "final" }), { "x-run-id": runId })
}))

const cursorOf = (exchange: RequestContext.RequestContext) => {
  const cursor = exchange.request.headers["last-event-id"] ?? exchange.query.get("after") ?? "0"
  return /^\d{1,15}$/u.test(cursor)
    ? Effect.succeed(Number(cursor))
    : Effect.fail(new RunError({ reason: new InvalidCursor({ cursor, reason: "a cursor is an event number" }) }))
}

const wantsJson = (exchange: RequestContext.RequestContext) => {
  const accept = exchange.request.headers["accept"] ?? ""
  return accept.includes("application/json") && !accept.includes("text/event-stream")
}

/** `POST /runs/{runId}/cancel`. */
export const cancel = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const { reason } = yield* RequestContext.bodyAs(exchange, Schema.Struct({ reason: optional(Schema.String) }))
  return runJson(yield* exchange.runtime.cancel(exchange.caller, RequestContext.param(exchange, "runId"), reason))
}))

/** `POST /runs/{runId}/resume`: 202 while the run goes on. */
export const resume = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const run = yield* exchange.runtime.resume(exchange.caller, RequestContext.param(exchange, "runId"))
  return runJson(run, isFinal(run.state) ? 200 : 202)
}))

/** `GET /runs/{runId}/checkpoints`: what the run can be forked after, oldest first. */
export const checkpoints = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const items = yield* exchange.runtime.checkpoints(exchange.caller, RequestContext.param(exchange, "runId"))
  return HttpServerResponse.jsonUnsafe({ items, next: null })
}))

/** After which event; after the last one unless said. */
export const Fork = Schema.Struct({ after: optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))) })

/** `POST /runs/{runId}/fork`: 202 with the new run. */
export const fork = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const { after } = yield* RequestContext.bodyAs(exchange, Fork)
  const idempotencyKey = exchange.request.headers["idempotency-key"] || undefined
  const forked = yield* exchange.runtime.fork(exchange.caller, RequestContext.param(exchange, "runId"), {
    after,
    idempotencyKey
  })
  return yield* accepted(forked, forked.run)
}))

/** `POST /runs/{runId}/retry`: 202 with the run that takes its place. */
export const retry = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  yield* RequestContext.bodyAs(exchange, Schema.Struct({}))
  const retried = yield* exchange.runtime.retry(exchange.caller, RequestContext.param(exchange, "runId"))
  return yield* accepted(retried, retried.run)
}))

/** `GET /runs/{runId}/interrupts`. */
export const interrupts = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const items = yield* exchange.runtime.interrupts(exchange.caller, RequestContext.param(exchange, "runId"))
  return HttpServerResponse.jsonUnsafe({ items, next: null })
}))

/** `GET /runs/{runId}/interrupts/{id}`. */
export const interrupt = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const [runId, id] = [RequestContext.param(exchange, "runId"), RequestContext.param(exchange, "id")]
  const all = yield* exchange.runtime.interrupts(exchange.caller, runId)
  const found = all.find((one) => one.id === id)
  if (found === undefined) return yield* new RunError({ reason: new InterruptNotFound({ runId, id }) })
  return HttpServerResponse.jsonUnsafe(found)
}))

/** `POST /runs/{runId}/interrupts/{id}`: decides; 202 while the run goes on. */
export const answer = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const given = yield* RequestContext.bodyAs(exchange, Answer)
  const [runId, id] = [RequestContext.param(exchange, "runId"), RequestContext.param(exchange, "id")]
  const run = yield* exchange.runtime.answer(exchange.caller, runId, id, given)
  return runJson(run, isFinal(run.state) ? 200 : 202)
}))
