// Starting agents and calling tools over REST.
import type { Callable } from "@fastagentic/core/app/Fusion"
import type { RunHandle } from "@fastagentic/core/operations/Runtime"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { Effect, Option, Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Timeouts from "../internal/timeouts.ts"
import * as EventStream from "./EventStream.ts"
import * as FormBody from "./FormBody.ts"
import * as Problem from "./Problem.ts"
import * as RequestContext from "./RequestContext.ts"
import * as Responses from "./Responses.ts"
import * as Route from "./Route.ts"
import * as Schemas from "./Schemas.ts"

const priority = Schema.optionalKey(Schema.FiniteFromString.pipe(Schema.decodeTo(Schemas.Priority)))

const timeout = Schema.optionalKey(Timeouts.Timeout)

/** The query of a call that waits for its answer. */
const CallQuery = Schema.Struct({ priority, timeout })

/** Only a background start can have a time, because no connection stays open until then. */
const StartQuery = Schema.Struct({ priority, timeout, startAt: Schema.optionalKey(Schemas.Instant) })

const start = Effect.fnUntraced(function*(
  context: RequestContext.RequestContext,
  kind: "agent" | "tool",
  { priority, startAt, timeout }: typeof StartQuery.Type
) {
  const { headers } = context.request
  return yield* context.runtime.start(context.caller, {
    kind,
    priority,
    startAt: startAt === undefined ? undefined : Schemas.millisOf(startAt),
    timeout: Timeouts.millisOf(timeout) ?? (yield* Timeouts.timeoutIn("x-timeout", headers["x-timeout"])),
    identifier: RequestContext.param(context, "identifier"),
    payload: yield* payloadOf(context, kind),
    idempotencyKey: headers["idempotency-key"] || undefined,
    threadId: headers["x-thread-id"] || undefined
  })
})

/** The payload as JSON, or as a form whose files fill fields of the payload. */
const payloadOf = (context: RequestContext.RequestContext, kind: "agent" | "tool") => {
  if (!FormBody.isForm(context.request)) return RequestContext.body(context)
  const { agents, tools } = context.runtime.fusion
  const callable = (kind === "agent" ? agents : tools).get(RequestContext.param(context, "identifier"))
  return Effect.map(FormBody.read(context), (form) => FormBody.toPayload(callable?.payload, form))
}

/**
 * Waits for the run: 200 is the answer itself, 202 the run that is suspended, or that has not ended in the time that the
 * server or `Prefer: wait=` allows.
 */
const call = (kind: "agent" | "tool") =>
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { waitMillis } = context.limits
    const preferred = preferredWait(context.request.headers["prefer"])
    const started = yield* start(context, kind, yield* RequestContext.queryAs(context, CallQuery))
    const wait = Math.min(waitMillis, preferred === undefined ? Infinity : preferred * 1_000)
    const settled = Tracing.silently(started.settled)
    const run = Number.isFinite(wait) ? yield* Effect.timeoutOption(settled, wait) : Option.some(yield* settled)
    const response = Option.isSome(run)
      ? yield* answer(context, started, run.value)
      : yield* accepted(started, yield* started.current)
    return preferred === undefined
      ? response
      : HttpServerResponse.setHeader(response, "preference-applied", `wait=${preferred}`)
  }))

/** The seconds of `Prefer: wait=`, by RFC 7240. */
const preferredWait = (prefer = ""): number | undefined => {
  const seconds = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})"?\s*(?:$|[,;])/iu.exec(prefer)?.[1]
  return seconds === undefined ? undefined : Number(seconds)
}

const answer = Effect.fnUntraced(function*(
  context: RequestContext.RequestContext,
  handle: RunHandle,
  run: RunRecord
) {
  const headers = { "x-run-id": run.runId }
  const subject = { traceId: context.caller.traceId, runId: run.runId }
  if (run.state === "completed") return HttpServerResponse.jsonUnsafe(run.output ?? null, { headers })
  if (run.error !== undefined) return Problem.fromFailure(run.error, subject)
  if (run.state === "cancelled") {
    return Problem.fromFailure(
      { tag: "RunCancelled", message: "the run was cancelled", status: 409, declared: false },
      subject
    )
  }
  return yield* accepted(handle, run)
})

/** 202: a run that continues or is suspended, and its address. */
export const accepted = Effect.fnUntraced(function*(handle: RunHandle, run: RunRecord) {
  const interrupts = run.state === "suspended" ? yield* handle.interrupts : []
  const open = interrupts.filter((interrupt) => interrupt.state === "open")
  return HttpServerResponse.jsonUnsafe(
    open.length === 0 ? Schemas.runOf(run) : { ...Schemas.runOf(run), interrupts: open },
    { status: 202, headers: { "x-run-id": run.runId, location: `/runs/${run.runId}` } }
  )
})

/** Starts a run, now or at `?startAt=`, and answers at once. */
const background = RequestContext.handle(Effect.fnUntraced(function*(context) {
  const started = yield* start(context, "agent", yield* RequestContext.queryAs(context, StartQuery))
  return yield* accepted(started, started.run)
}))

/** The journal from its first event, until the run has ended or is suspended. */
const stream = RequestContext.handle(Effect.fnUntraced(function*(context) {
  const { follow, run } = yield* start(context, "agent", yield* RequestContext.queryAs(context, CallQuery))
  return EventStream.response(yield* follow({ after: 0, until: "settled" }), { "x-run-id": run.runId })
}))

const shared = ({ errors, payload }: Callable) => ({
  payload: FormBody.payloadsOf(payload),
  headers: Responses.startHeaders,
  error: Responses.problems(...Responses.refusals, 404, 409, ...errors.map(({ status }) => status))
})

const describeCall = (name: string, path: `/${string}`, callable: Callable) =>
  HttpApiEndpoint.post(name, path, {
    ...shared(callable),
    query: CallQuery.fields,
    headers: { ...Responses.startHeaders, prefer: Schema.optionalKey(Schema.String) },
    success: [callable.success.schema, Responses.suspended]
  }).annotateMerge(Responses.summary(callable.description))

const agents = {
  group: "agents",
  method: "POST",
  declarations: ({ agents }: { readonly agents: ReadonlyMap<string, Callable> }) => agents.values(),
  identifierOf: ({ identifier }: Callable) => identifier
} as const

export const routes: ReadonlyArray<Route.Route> = [
  Route.forEach({ ...agents, path: "/agents/:identifier", handler: call("agent"), describe: describeCall }),
  Route.forEach({
    ...agents,
    path: "/agents/:identifier/stream",
    name: (identifier) => `${identifier}.stream`,
    handler: stream,
    describe: (name, path, callable) =>
      HttpApiEndpoint.post(name, path, {
        ...shared(callable),
        query: CallQuery.fields,
        success: Responses.journal
      }).annotateMerge(Responses.summary(`${callable.description}, as a stream of events`))
  }),
  Route.forEach({
    ...agents,
    path: "/agents/:identifier/runs",
    name: (identifier) => `${identifier}.runs`,
    handler: background,
    describe: (name, path, callable) =>
      HttpApiEndpoint.post(name, path, {
        ...shared(callable),
        query: StartQuery.fields,
        success: [Responses.accepted, Responses.suspended]
      }).annotateMerge(Responses.summary(`${callable.description}, in the background`))
  }),
  Route.forEach({
    ...agents,
    group: "tools",
    declarations: ({ tools }) => tools.values(),
    path: "/tools/:identifier",
    handler: call("tool"),
    describe: describeCall
  })
]
