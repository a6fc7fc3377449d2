// One segment: runs a handler from its claim to an end or a pause; the supervisor launches it. It always concludes the run.
import { Cause, Effect, Exit, Fiber, Predicate, type Schema, type Scope } from "effect"
import type { Callable } from "../../app/Fusion.ts"
import { refusalOf } from "../../audit/internal/refusalOf.ts"
import type { Budget } from "../../budget/Budget.ts"
import type * as Hook from "../../hook/Hook.ts"
import { failureOf, internalError } from "../../run/internal/failure.ts"
import type { Principal } from "../../run/Principal.ts"
import { CurrentRun } from "../../run/Run.ts"
import { BudgetExceeded, Forbidden, HookBlocked, RateLimited, RunError, ToolDenied } from "../../run/RunError.ts"
import type { Fact } from "../../store/RunStore.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import { untilDeadline } from "./deadlines.ts"
import type { LiveRun } from "./liveRun.ts"
import { holdForRepair, misfitIn } from "./repair.ts"
import { untilStored } from "./storeAway.ts"
import { finishSaid, turnOf } from "./threads.ts"
import { concludeUndo, endsWith, undoAll } from "./undoSegment.ts"

/** Runs the code behind a callable: encoded payload in, encoded answer out. */
export type Invoke = (payload: Schema.Json) => Effect.Effect<Schema.Json, unknown, CurrentRun | Scope.Scope>

/** The surroundings of a handler, the same for each run of a callable. */
export interface Surroundings {
  readonly callable: Callable
  readonly principal: Principal
  readonly budget: Budget["Service"]
  readonly onSettled: (live: LiveRun) => Effect.Effect<void>
}

/**
 * Drives a run from its claim to its next rest, an end or a pause: budget, hooks, handler, settle. What it
 * leaves behind is in the store.
 */
export const runSegment = (live: LiveRun, around: Surroundings, invoke: Invoke): Effect.Effect<void> =>
  Effect.uninterruptibleMask((restore) => {
    const { ending } = live
    if (ending !== undefined) {
      return Effect.exit(restore(live.resting.activity.during(undoAll(live, invoke)))).pipe(
        Effect.flatMap((exit) => {
          live.isOver = true
          return concludeUndo(live, ending, exit)
        }),
        Effect.andThen(Effect.suspend(() => {
          live.stop ??= { _tag: "Ended" }
          return settle(live, around)
        }))
      )
    }
    const call: Hook.RequestCall = {
      runId: live.run.runId,
      kind: around.callable.kind,
      agent: around.callable.identifier,
      principal: around.principal,
      payload: live.run.payload
    }
    const reserved = stage(untilStored(Effect.suspend(() => around.budget.check(live.run))))
    const body = Effect.andThen(reserved, handle(live, call, invoke))
    return Effect.exit(untilDeadline(live, restore(body))).pipe(
      Effect.flatMap((exit) => {
        live.isOver = true
        return conclude(live, around.callable, call, exit)
      }),
      // A run that rests has settled when it came to rest.
      Effect.andThen(Effect.suspend(() => {
        if (live.stop?._tag === "Suspended") return Effect.void
        live.stop ??= { _tag: "Ended" }
        return settle(live, around)
      }))
    )
  })

/** Follows an end or a rest of a run: its budget, and the runs that wait for it. */
export const settle = (live: LiveRun, around: Surroundings): Effect.Effect<void> =>
  Effect.andThen(stage(around.budget.releaseAll(live.run, live.run.usage)), around.onSettled(live))

/** One span, whatever a store does for it. */
const stage = <A, E>(effect: Effect.Effect<A, E>) => Tracing.asOne(effect, "budget")

/** The handler with its hooks and guards, in its run. */
export const handle = (live: LiveRun, call: Hook.RequestCall, invoke: Invoke) =>
  Effect.suspend(() =>
    live.dispatch.request(
      call,
      (admitted) => live.entering(live.top, invoke(live.outcomes.admit(call.payload, admitted.payload)))
    )
  )
    .pipe(
      Effect.flatMap((output) => {
        const answered = live.guards === undefined ? Effect.succeed(output) : live.guards.answer(output)
        return live.said === undefined ? answered : Effect.tap(answered, () => finishSaid(live))
      }),
      Effect.scoped,
      Effect.provideService(CurrentRun, live.service)
    )

const conclude = (
  live: LiveRun,
  callable: Callable,
  call: Hook.RequestCall,
  exit: Exit.Exit<Schema.Json, unknown>
): Effect.Effect<void> => {
  if (live.stop?._tag === "Suspended") return Effect.void
  if (live.stop?._tag === "Lost" && live.stop.ending !== undefined) {
    return Effect.annotateLogs(Effect.logInfo("The code of a run that had ended has stopped"), aboutOf(live))
  }
  if (live.stop?._tag === "Lost") {
    return Effect.annotateLogs(Effect.logWarning("A run was lost", live.stop.error), aboutOf(live))
  }
  if (live.stop?._tag === "Parted") return holdForRepair(live, `its handler ${live.stop.how}`)
  if (live.stop?._tag === "Cut") return fail(live, callable, call, Cause.fail(live.stop.error))
  const parted = live.stop === undefined ? partedBy(live, exit) : undefined
  if (parted !== undefined) return holdForRepair(live, parted, ...(Exit.isFailure(exit) ? [exit.cause] : []))
  if (Exit.isSuccess(exit)) return complete(live, exit.value)
  if (live.stop?._tag === "Cancelled") return cancel(live, live.stop.reason, live.stop.facts)
  // Interrupted although nobody stopped it: the node is going away.
  if (live.stop?._tag === "Drained" || Cause.hasInterruptsOnly(exit.cause)) {
    return live.run.durable ? suspendAtDrain(live) : cancel(live, "shutdown")
  }
  return fail(live, callable, call, exit.cause)
}

/** How a handler has parted from what is recorded. Policy and a node that goes away may end it early. */
const partedBy = (live: LiveRun, exit: Exit.Exit<unknown, unknown>): string | undefined => {
  if (Exit.isSuccess(exit)) return about(live.outcomes.parted)
  if (Cause.hasInterruptsOnly(exit.cause) || refusalIn(exit.cause) !== undefined || ruleIn(exit.cause) !== undefined) {
    return undefined
  }
  return misfitIn(exit.cause) ?? about(live.outcomes.parted)
}

const about = (how: string | undefined) => how === undefined ? undefined : `its handler ${how}`

const complete = (live: LiveRun, output: Schema.Json) =>
  live.writes.conclude(live.outcomes.withPending({
    events: [...live.words.unsaid(""), {
      type: "done",
      data: live.usage === undefined ? { output } : { output, usage: live.usage }
    }],
    set: { state: "completed", output, finishedAt: live.now() },
    ...turnOf(live)
  }))

/** Suspends the run as due now; the next node to poll resumes it. */
const suspendAtDrain = (live: LiveRun) =>
  live.writes.conclude(live.outcomes.withTimes({
    events: [{ type: "run_suspended", data: { reason: "drain", interrupts: [] } }],
    set: { state: "suspended", wakeAt: live.now() }
  }))

const cancel = (live: LiveRun, reason: string, facts: ReadonlyArray<Fact> = []) =>
  live.hasUndos ?
    live.writes.conclude(endsWith(live, { state: "cancelled", reason, forget: [] }, { events: [], facts })) :
    live.writes.conclude({
      events: [{ type: "run_cancelled", data: { reason } }],
      set: { state: "cancelled", finishedAt: live.now() },
      facts
    })

const fail = Effect.fnUntraced(function*(
  live: LiveRun,
  callable: Callable,
  call: Hook.RequestCall,
  cause: Cause.Cause<unknown>
) {
  const found = yield* failureOf(callable, cause)
  // The run is over: whatever happens here, it ends.
  const shown = Effect.suspend(() => live.dispatch.error(found, call)).pipe(
    Effect.flatMap((failure) => {
      if (live.guards === undefined) return Effect.succeed(failure)
      const last = live.stop === undefined ? live.guards.flush : Effect.void
      return Effect.andThen(last, live.guards.failure(failure))
    }),
    Effect.interruptible
  )
  // A run that was cut off has been interrupted already: its hooks get a fiber of their own.
  const asked = live.stop === undefined ? shown : Effect.flatMap(Effect.forkChild(shown), Fiber.join)
  const failure = yield* Effect.catchCause(
    asked,
    (cause) =>
      Effect.as(Effect.annotateLogs(Effect.logError("An error hook failed", cause), aboutOf(live)), internalError)
  )
  if (failure.tag === "InternalError" || failure.tag === "ModelFailed") {
    yield* Effect.annotateLogs(Effect.logError("A run failed unexpectedly", cause), aboutOf(live))
  }
  const state = refusalIn(cause) !== undefined ? "rejected" : "failed"
  const rule = ruleIn(cause)
  if (live.hasUndos) {
    // A replay that looks for undos comes to the same end.
    const ending = {
      state,
      error: failure,
      forget: live.outcomes.endedBy(cause),
      ...(rule === undefined ? {} : { rule })
    } as const
    return yield* live.writes.conclude(
      endsWith(live, ending, live.outcomes.withPending({ events: live.words.unsaid("") }))
    )
  }
  const steps = live.outcomes.forget(cause)
  yield* live.writes.conclude({
    events: [...live.words.unsaid(""), { type: "error", data: failure }],
    ...(steps.length === 0 ? {} : { steps }),
    set: { state, error: failure, finishedAt: live.now() }
  }, rule)
})

const aboutOf = ({ run }: LiveRun) => ({ runId: run.runId, traceId: run.traceId, agent: run.agent })

/** Policy said no before the handler could do anything, or a human did. */
const refusalIn = (cause: Cause.Cause<unknown>) => {
  for (const reason of cause.reasons) {
    const error = Cause.isFailReason(reason) ? reason.error : undefined
    if (error instanceof BudgetExceeded || error instanceof ToolDenied) return error
    if (error instanceof HookBlocked && error.point === "request") return error
  }
  return undefined
}

const isPolicy = (error: unknown): error is BudgetExceeded | ToolDenied | HookBlocked | Forbidden | RateLimited =>
  error instanceof BudgetExceeded || error instanceof ToolDenied || error instanceof HookBlocked ||
  error instanceof Forbidden || error instanceof RateLimited

/** The rule that refused, also when the handler had begun and failed with the refusal, or with an error that names its rule. */
const ruleIn = (cause: Cause.Cause<unknown>): string | undefined => {
  for (const reason of cause.reasons) {
    const error = Cause.isFailReason(reason) ? reason.error : Cause.isDieReason(reason) ? reason.defect : undefined
    const refusal = error instanceof RunError ? error.reason : error
    if (isPolicy(refusal)) return refusalOf(refusal).rule
    if (Predicate.hasProperty(refusal, "rule") && typeof refusal.rule === "string") return refusal.rule
  }
  return undefined
}
