// Writes a new run in one commit, or attaches to the run that has its idempotency key; start and forks call it.
import { Effect, type Schema, type Tracer } from "effect"
import { canonical } from "../../base/internal/canonical.ts"
import type { Event, RunEvent } from "../../run/Event.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import type { Interrupt } from "../../run/Interrupt.ts"
import type { Principal } from "../../run/Principal.ts"
import { IdempotencyConflict, InvalidPayload, RunError, ThreadBusy } from "../../run/RunError.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { Admit, Fact, Step } from "../../store/RunStore.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import { cancelWhole } from "./cancel.ts"
import { isPlaced, resumeInLine } from "./claim.ts"
import type { Hub } from "./hub.ts"
import { orderOf } from "./outcome.ts"
import { received } from "./receivedMessages.ts"
import type { RegisteredCallable, RunSupervisor } from "./runSupervisor.ts"

/** The history that a fork inherits from its origin. */
export interface Inheritance {
  readonly steps: ReadonlyArray<Step>
  readonly interrupts: ReadonlyArray<Interrupt>
  /** Whether that run kept the names of its branches apart. */
  readonly places: boolean
  /** The event after which the caller asked for the fork; nothing when it asked for the last one. */
  readonly after?: number | undefined
}

/** The parts of an admission beside the record: lines of the audit log, and the history of the origin of a fork. */
export interface Brought {
  readonly facts: ReadonlyArray<Fact>
  readonly inherited: Inheritance | undefined
  /** The message that the payload was read from. */
  readonly message?: Schema.Json | undefined
}

/** `attached` says that another run holds the idempotency key; `hub` is where a run is followed that was launched here. */
export interface Admitted {
  readonly run: RunRecord
  readonly attached: boolean
  readonly hub?: Hub | undefined
}

/**
 * Writes a run down and launches it: at once, or, when it has a time of its own, its agent takes only so many or an engine
 * says where, when it has its turn. A run that is asked to wait for its principal is checked before it starts, and held.
 */
export const admit = (
  node: RunSupervisor,
  bound: RegisteredCallable,
  principal: Principal,
  record: RunRecord,
  brought: Brought
): Effect.Effect<Admitted, RunError> => {
  const isAdmitted = record.waitsFor !== "principal"
  const run = record.waitsFor === undefined ? record : withoutWaitsFor(record)
  const waits = !isAdmitted || (run.wakeAt !== undefined && run.wakeAt > node.now()) ||
    bound.callable.limits !== undefined ||
    isPlaced(node, bound, run)
  // A caller may leave at any moment: what is admitted is launched.
  return Effect.uninterruptible(Effect.flatMap(Tracing.current, (span) =>
    waits
      ? enqueue(node, bound, run, brought, isAdmitted, span)
      : enter(node, bound, principal, run, brought, span)))
}

const withoutWaitsFor = ({ waitsFor: _waitsFor, ...run }: RunRecord): RunRecord => run

const withoutWakeAt = ({ wakeAt: _wakeAt, ...run }: RunRecord): RunRecord => run

const enter = Effect.fnUntraced(function*(
  node: RunSupervisor,
  bound: RegisteredCallable,
  principal: Principal,
  record: RunRecord,
  brought: Brought,
  span: Tracer.AnySpan | undefined
) {
  const run = record.wakeAt === undefined ? record : withoutWakeAt(record)
  const { inherited } = brought
  const started = { agent: run.agent, ...originOf(run), ...placeIn(span), ...recordedAs(inherited) }
  const written = write(node, bound, run, { type: "run_started", data: started }, brought)
  return yield* node.runs.reserveClaim(
    run.runId,
    Effect.map(written, ({ events, ...written }): Admitted => {
      if (written.attached) return written
      node.metrics.started(written.run)
      const history = inherited === undefined ? undefined : historyOf(inherited)
      const hub = node.launch(written.run, principal, bound, history, { parent: span })
      hub?.seed(events)
      return { ...written, hub }
    })
  )
})

const enqueue = Effect.fnUntraced(function*(
  node: RunSupervisor,
  bound: RegisteredCallable,
  run: RunRecord,
  brought: Brought,
  isAdmitted: boolean,
  span: Tracer.AnySpan | undefined
) {
  const { wakeAt = node.now() } = run
  const event: Event = {
    type: "run_queued",
    data: {
      agent: run.agent,
      ...(run.wakeAt === undefined ? {} : { startAt: run.wakeAt }),
      ...placeIn(span),
      ...recordedAs(brought.inherited)
    }
  }
  const queued = { ...run, state: "queued", attempt: 0, wakeAt } as const
  const { events: _events, ...started } = yield* write(node, bound, queued, event, brought)
  if (started.attached) return started
  node.metrics.started(started.run)
  if (wakeAt > node.now()) {
    yield* node.poll.at(wakeAt)
    return started
  }
  yield* resumeInLine(node, bound, started.run, isAdmitted)
  return { ...started, run: (yield* asRunError(node.get(run.runId))) ?? started.run }
})

/** An admission with its events; none when the run was there. */
interface Written extends Admitted {
  readonly events: ReadonlyArray<RunEvent>
}

/** Admits the run, after what its agent's policy does to the one that its thread is not through with. */
const write = Effect.fnUntraced(function*(
  node: RunSupervisor,
  bound: RegisteredCallable,
  run: RunRecord,
  event: Event,
  { facts, inherited, message }: Brought
): Effect.fn.Return<Written, RunError> {
  if (!isStorable(run.idempotencyKey)) return yield* notStorable("idempotencyKey")
  if (!isStorable(run.threadId)) return yield* notStorable("threadId")
  const { threads } = bound.callable
  // A run that another run has started is a part of that run's turn.
  const alone = run.threadId !== undefined && run.parentRunId === undefined && threads !== "parallel" &&
    threads !== "enqueue"
  const { interrupts, steps } = inherited ?? {}
  const admission: Admit = {
    _tag: "Admit",
    run,
    events: message === undefined ? [event] : [event, received(run.owner, message)],
    facts,
    ...(steps === undefined ? {} : { steps }),
    ...(interrupts === undefined ? {} : { interrupts }),
    ...(alone ? { alone } : {})
  }
  while (true) {
    const written = yield* asRunError(Tracing.within(node.writerOf(run).write(admission), "admit", () => ({
      attributes: { "fastagentic.run.id": run.runId }
    })))
    if (written._tag === "Admitted") return { run: written.run, attached: false, events: written.events }
    if (written._tag === "Attached") return yield* attach(node, written.run, run, inherited?.after)
    if (written._tag !== "Busy") return yield* Effect.die(new Error("an admission is admitted, attached or refused"))
    const { runId } = written.run
    if (threads === "reject") {
      return yield* Effect.fail(new RunError({ reason: new ThreadBusy({ threadId: run.threadId ?? "", runId }) }))
    }
    const ended = yield* asRunError(cancelWhole(node, written.run, "a newer run of its thread takes its place"))
    if (ended !== undefined && !isFinal(ended.state)) {
      return yield* Effect.fail(new RunError({ reason: new ThreadBusy({ threadId: run.threadId ?? "", runId }) }))
    }
    if (threads === "rollback" && ended !== undefined) yield* asRunError(node.forget(ended))
  }
})

/** Names that callers choose are columns with an index, and no database takes every string there. */
const isStorable = (name: string | undefined) => name === undefined || /^[^\0\p{Surrogate}]{0,512}$/u.test(name)

const notStorable = (target: string) =>
  Effect.fail(
    new RunError({
      reason: new InvalidPayload({
        target,
        issues: [{ path: [], message: "Expected at most 512 characters, well-formed and without U+0000" }]
      })
    })
  )

const attach = Effect.fnUntraced(function*(
  node: RunSupervisor,
  holder: RunRecord,
  run: RunRecord,
  after: number | undefined
): Effect.fn.Return<Written, RunError> {
  const { forkedFrom, idempotencyKey: key = "", payload, runId } = holder
  // A fork that names no event is of the last one, which may be another when the request is repeated.
  const isSameOrigin = forkedFrom?.runId === run.forkedFrom?.runId && (after === undefined || forkedFrom?.seq === after)
  if (isSameOrigin && canonical(payload) === canonical(run.payload)) {
    return { run: yield* replacing(node, holder), attached: true, events: [] }
  }
  return yield* Effect.fail(new RunError({ reason: new IdempotencyConflict({ key, runId }) }))
})

/** The key of a run that was retried leads to the run in its place, when that is of the same owner. */
const replacing = Effect.fnUntraced(function*(
  node: RunSupervisor,
  holder: RunRecord
): Effect.fn.Return<RunRecord, RunError> {
  let last = holder
  while (last.retriedAs !== undefined) {
    const next: RunRecord | undefined = yield* asRunError(node.get(last.retriedAs))
    if (next === undefined || next.owner !== holder.owner || next.tenant !== holder.tenant) break
    last = next
  }
  return last
})

const originOf = ({ forkedFrom, parentRunId }: RunRecord) => ({
  ...(parentRunId === undefined ? {} : { parentRunId }),
  ...(forkedFrom === undefined ? {} : { forkedFrom })
})

/** Every later segment of the run, on any node, continues this trace. */
const placeIn = (span: Tracer.AnySpan | undefined) =>
  span === undefined ? {} : { traceparent: Tracing.toTraceparent(span) }

/** A fork of a run that was recorded by an earlier version is recorded as that run was. */
const recordedAs = (inherited: Inheritance | undefined) => inherited?.places === false ? {} : { places: true }

const historyOf = ({ interrupts, places, steps }: Inheritance) => ({
  places,
  steps: new Map(steps.map(({ name, value }) => [name, value])),
  order: orderOf(steps.map((step, seq) => ({ ...step, seq }))),
  interrupts: new Map(interrupts.map((interrupt) => [interrupt.name, interrupt]))
})
