// Starting agents and calling tools over REST.
import type { RunHandle } from "@fastagentic/core/operations/Runtime"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { Effect, Schema } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as EventStream from "./EventStream.ts"
import * as Problem from "./Problem.ts"
import * as RequestContext from "./RequestContext.ts"
import * as Schemas from "./Schemas.ts"

const optional = Schema.optionalKey
const priority = optional(Schema.FiniteFromString.pipe(Schema.decodeTo(Schemas.Priority)))

/** What may be said about a start whose caller stays. */
export const CallQuery = Schema.Struct({ priority })

/** Only a start in the background can have a time: nobody holds a connection until then. */
export const StartQuery = Schema.Struct({ priority, startAt: optional(Schemas.Instant) })

const start = Effect.fnUntraced(function*(
  exchange: RequestContext.RequestContext,
  kind: "agent" | "tool",
  { priority, startAt }: typeof StartQuery.Type
) {
  return yield* exchange.runtime.start(exchange.caller, {
    kind,
    priority,
    startAt: startAt === undefined ? undefined : Schemas.millisOf(startAt),
    identifier: RequestContext.param(exchange, "identifier"),
    payload: yield* RequestContext.body(exchange),
    idempotencyKey: exchange.request.headers["idempotency-key"] || undefined,
    threadId: exchange.request.headers["x-thread-id"] || undefined
  })
})

/** `POST /agents/{identifier}` and `POST /tools/{identifier}`: waits. 200 is the answer itself, 202 the run that pauses. */
export const call = (kind: "agent" | "tool") =>
  RequestContext.handle(Effect.fnUntraced(function*(exchange) {
    const started = yield* start(exchange, kind, yield* RequestContext.queryAs(exchange, CallQuery))
    return yield* answer(exchange, started, yield* Tracing.silently(started.settled))
  }))

const answer = Effect.fnUntraced(function*(
  exchange: RequestContext.RequestContext,
  handle: RunHandle,
  run: RunRecord
) {
  const headers = { "x-run-id": run.runId }
  const about = { traceId: exchange.caller.traceId, runId: run.runId }
  if (run.state === "completed") return HttpServerResponse.jsonUnsafe(run.output ?? null, { headers })
  if (run.error !== undefined) return Problem.fromFailure(run.error, about)
  if (run.state === "cancelled") {
    return Problem.fromFailure(
      { tag: "RunCancelled", message: "the run was cancelled", status: 409, declared: false },
      about
    )
  }
  return yield* accepted(handle, run)
})

/** 202: a run that continues or pauses, and where it is. */
export const accepted = Effect.fnUntraced(function*(handle: RunHandle, run: RunRecord) {
  const interrupts = run.state === "suspended" ? yield* handle.interrupts : []
  const open = interrupts.filter((interrupt) => interrupt.state === "open")
  return HttpServerResponse.jsonUnsafe(
    open.length === 0 ? Schemas.runOf(run) : { ...Schemas.runOf(run), interrupts: open },
    { status: 202, headers: { "x-run-id": run.runId, location: `/runs/${run.runId}` } }
  )
})

/** `POST /agents/{identifier}/runs`: starts, now or at `?startAt=`, and returns at once. */
export const background = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const started = yield* start(exchange, "agent", yield* RequestContext.queryAs(exchange, StartQuery))
  return yield* accepted(started, started.run)
}))

/** `POST /agents/{identifier}/stream`: the journal from its first event, until the run has ended or pauses. */
export const stream = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const { follow, run } = yield* start(exchange, "agent", yield* RequestContext.queryAs(exchange, CallQuery))
  return EventStream.response(yield* follow({ after: 0, until: "settled" }), { "x-run-id": run.runId })
}))
