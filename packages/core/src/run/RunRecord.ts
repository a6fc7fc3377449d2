/**
 * The record of a run: what is known about it without reading its journal.
 *
 * @since 0.1.0
 */
import { Schema, Struct } from "effect"
import * as Event from "./Event.ts"

const optional = Schema.optionalKey

/**
 * `queued → running ⇄ suspended → completed | failed | cancelled | rejected`; the last four are final.
 *
 * @category models
 * @since 0.1.0
 */
export const RunState = Schema.Literals([
  "queued",
  "running",
  "suspended",
  "completed",
  "failed",
  "cancelled",
  "rejected"
])

/**
 * @category models
 * @since 0.1.0
 */
export type RunState = typeof RunState.Type

/**
 * The reason why a run is suspended: a decision, a time, a run that it started, an agent that fits it, somebody who looks
 * at why it ended its node again and again, a principal that may act (its own is not valid any more), or its undos, after
 * which it ends. A run that a node let go of in order waits for nothing.
 *
 * @category models
 * @since 0.1.0
 */
export const WaitsFor = Schema.Literals([
  "interrupt",
  "signal",
  "timer",
  "child",
  "migration",
  "repair",
  "principal",
  "undo"
])

/**
 * @category models
 * @since 0.1.0
 */
export type WaitsFor = typeof WaitsFor.Type

/**
 * The source of a run's rights: the app itself, which declares a schedule, or a principal that was admitted at a time:
 * the owner, or `by`, who has resumed the run for its owner. Without it the owner was admitted when the run was made.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Authority = Schema.Union([
  Schema.Literal("app"),
  Schema.Struct({
    at: Schema.Int,
    by: optional(Schema.Struct({ id: Schema.String, claims: Schema.Record(Schema.String, Schema.Json) }))
  })
])

/** @category models @since 0.1.0 */
export type Authority = typeof Authority.Type

/**
 * A run as every protocol sees it. Times are Unix milliseconds.
 *
 * `attempt` is the fencing token: it grows with each owner, and a write of an older attempt is refused. `seq` is the
 * number of the last committed event. `grants` is what the owner was allowed when the run was admitted: a resumed run acts
 * with no more and no less. `emitted` counts the events that the handler itself emitted outside of steps, so
 * that a resumed handler does not emit them again. A queued or suspended run goes on by itself at `wakeAt`, of those that
 * are due the one with the highest `priority` first. `crashes` counts the owners in a row that were lost before they
 * committed a step. A run that has not ended by its `deadline` fails then. `rootRunId` is the first of the runs that led to
 * this one by delegation, unless it is that itself. A fork of a tool's run makes the call `forkedFrom.toolCallId` of the first
 * run, whose result it may have. `causes` are the ids of the others who caused the run: they triggered its schedule, started
 * the run that it was forked from, or resumed it. `retriedAs` is the run in place of one that was retried.
 *
 * @category models
 * @since 0.1.0
 */
export const RunRecord = Schema.Struct({
  runId: Schema.String,
  kind: Schema.Literals(["agent", "tool"]),
  agent: Schema.String,
  state: RunState,
  attempt: Schema.Int,
  seq: Schema.Int,
  emitted: Schema.Int,
  crashes: Schema.Int,
  priority: Schema.Int,
  wakeAt: optional(Schema.Int),
  deadline: optional(Schema.Int),
  waitsFor: optional(WaitsFor),
  durable: Schema.Boolean,
  tenant: Schema.String,
  owner: Schema.String,
  grants: Schema.Struct({
    scopes: Schema.Array(Schema.String),
    roles: Schema.Array(Schema.String),
    claims: Schema.Record(Schema.String, Schema.Json),
    authority: optional(Authority)
  }),
  payload: Schema.Json,
  output: optional(Schema.Json),
  error: optional(Event.Failure),
  usage: optional(Event.Usage),
  threadId: optional(Schema.String),
  parentRunId: optional(Schema.String),
  rootRunId: optional(Schema.String),
  forkedFrom: optional(
    Schema.Struct({ runId: Schema.String, seq: Schema.Int, toolCallId: optional(Schema.String) })
  ),
  causes: optional(Schema.Array(Schema.String)),
  retriedAs: optional(Schema.String),
  idempotencyKey: optional(Schema.String),
  traceId: Schema.String,
  fingerprint: Schema.String,
  createdAt: Schema.Int,
  updatedAt: Schema.Int,
  finishedAt: optional(Schema.Int)
})

/**
 * @category models
 * @since 0.1.0
 */
export type RunRecord = typeof RunRecord.Type

const { agent, kind, parentRunId, state, threadId, waitsFor } = RunRecord.fields

/**
 * The fields by which lists of runs are filtered: routes, their document, clients and stores take them from here.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RunFilter = Schema.Struct({
  agent: optional(agent),
  kind: optional(kind),
  state: optional(state),
  waitsFor,
  threadId,
  parentRunId
})

/** @category models @since 0.1.0 */
export type RunFilter = typeof RunFilter.Type

/** The names of the fields of a filter. @category constants @since 0.1.0 */
export const filterFields = Struct.keys(RunFilter.fields)

/** Whether a run has the value of every field that a filter names. @category guards @since 0.1.0 */
export const matchesFilter = (run: RunFilter, filter: RunFilter): boolean =>
  filterFields.every((field) => filter[field] === undefined || run[field] === filter[field])

/** The states in which a run has ended. @category constants @since 0.1.0 */
export const finalStates = ["completed", "failed", "cancelled", "rejected"] as const satisfies ReadonlyArray<RunState>

/**
 * Whether nothing can happen to a run in this state any more.
 *
 * @category guards
 * @since 0.1.0
 */
export const isFinal = (state: RunState): state is typeof finalStates[number] =>
  finalStates.some((final) => final === state)

/**
 * Whether a run continues only when somebody acts: it waits for a decision, for a definition that it fits, for repair, or
 * for a principal that may act.
 * Timers, children and starts that are due end by themselves.
 *
 * @category guards
 * @since 0.1.0
 */
export const needsSomebody = ({ state, waitsFor }: Pick<RunRecord, "state" | "waitsFor">): boolean =>
  state === "suspended" &&
  (waitsFor === "interrupt" || waitsFor === "signal" || waitsFor === "migration" || waitsFor === "repair" ||
    waitsFor === "principal")

/**
 * Whether a waiting caller gets its answer now: the run ended, or it pauses for something. A run that its node let go of
 * goes on at once elsewhere, and so does one that ends after its undos.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSettled = ({ state, waitsFor }: Pick<RunRecord, "state" | "waitsFor">): boolean =>
  isFinal(state) || (state === "suspended" && waitsFor !== undefined && waitsFor !== "undo")

/**
 * The progress of a run for those who wait for it: not begun yet, on its way, waiting for somebody, or its end.
 *
 * @category models
 * @since 0.1.0
 */
export type Phase = "submitted" | "working" | "waiting" | typeof finalStates[number]

/** The reasons for which a run waits for a person. @category constants @since 0.1.0 */
export const waitingReasons = ["interrupt", "signal", "principal"] as const satisfies ReadonlyArray<WaitsFor>

/** @category accessors @since 0.1.0 */
export const phaseOf = ({ attempt, state, waitsFor }: Pick<RunRecord, "attempt" | "state" | "waitsFor">): Phase => {
  if (state === "queued") return attempt === 0 ? "submitted" : "working"
  if (state === "running") return "working"
  if (state !== "suspended") return state
  return waitingReasons.some((reason) => reason === waitsFor) ? "waiting" : "working"
}

/** The time of the last change of a run that its callers see. @category accessors @since 0.1.0 */
export const changedAt = ({ finishedAt, updatedAt }: Pick<RunRecord, "finishedAt" | "updatedAt">): number =>
  finishedAt ?? updatedAt
