// The segment that ends a run with undos: a replay of its handler finds them, then they run, the last one first, each committed
// before the next. segment.ts drives it; nothing of the handler that is not recorded is done in it. A node that goes away
// leaves the run as due, and another continues with the undo that is not committed.
import { Cause, Deferred, Effect, Exit, Fiber, type Schema } from "effect"
import * as Timings from "../../base/Timings.ts"
import { CurrentRun } from "../../run/Run.ts"
import type { LiveRun } from "./liveRun.ts"
import { forgotten, tagOf } from "./outcome.ts"
import { holdForRepair } from "./repair.ts"
import type { Parts } from "./runWrites.ts"
import type { Invoke } from "./segment.ts"
import { type Ending, endingRow, openUndos, undoRow } from "./undoRows.ts"

/** How a run waits for its undos. */
export const undoLater = (now: number) => ({ state: "suspended", waitsFor: "undo", wakeAt: now } as const)

/** The parts of the commit with which a run that has undos comes to its end. */
export const endsWith = (live: LiveRun, ending: Ending, { events, facts, steps = [] }: Parts): Parts => ({
  events: [...events, { type: "run_suspended", data: { reason: "undo", interrupts: [] } }],
  steps: [...steps, endingRow(ending)],
  set: undoLater(live.now() + pollSoon),
  ...(facts === undefined ? {} : { facts })
})

/** The segment before has left memory by then, in milliseconds. */
const pollSoon = 25

/** Runs all undos. Returns the names of those that the handler does not have any more. */
export const undoAll = Effect.fnUntraced(function*(live: LiveRun, invoke: Invoke) {
  const rows = [...live.history.steps].map(([name, value]) => ({ name, value }))
  const open = openUndos(rows)
  if (open.length === 0) return []
  const { payload } = live.run
  const ended = Deferred.makeUnsafe<void>()
  // The resources of the handler stay open for its undos.
  const replay = live.entering(live.top, invoke(live.outcomes.admit(payload, payload))).pipe(
    Effect.exit,
    Effect.andThen(Deferred.done(ended, Exit.void)),
    Effect.andThen(Effect.never),
    Effect.scoped,
    Effect.provideService(CurrentRun, live.service)
  )
  const fiber = yield* Effect.forkChild(replay)
  const { complete, found } = live.undos
  yield* Effect.raceFirst(
    Deferred.await(complete),
    Effect.raceFirst(Deferred.await(ended), Effect.sleep(Timings.undoMillis))
  )
  const missing = open.filter(({ key }) => !found.has(key))
  if (missing.length > 0) return missing.map(({ key }) => key)
  for (const { index, key } of open) yield* undoOne(live, key, index, found.get(key) ?? Effect.void)
  yield* Effect.timeoutOption(Fiber.interrupt(fiber), Timings.undoMillis)
  return []
})

const undoOne = Effect.fnUntraced(function*(
  live: LiveRun,
  key: string,
  index: number,
  undo: Effect.Effect<unknown, unknown>
) {
  const once = Effect.timeout(undo, Timings.undoMillis)
  for (let tries = 1;; tries++) {
    const exit = yield* Effect.exit(once)
    if (Exit.isSuccess(exit)) {
      return yield* live.writes.commit({
        events: [{ type: "undo", data: { undoId: key, status: "done", tries } }],
        steps: [undoRow(key, { index, state: "done" })],
        set: { crashes: 0 }
      })
    }
    const error = tagOf(Cause.squash(exit.cause)) ?? "InternalError"
    const isLast = tries >= Timings.undoTries
    yield* Effect.annotateLogs(
      Effect.logError(isLast ? "An undo has failed for good" : "An undo has failed and is tried again", exit.cause),
      { runId: live.run.runId, agent: live.run.agent, undo: key }
    )
    yield* live.writes.commit({
      events: [{ type: "undo", data: { undoId: key, status: isLast ? "failed" : "retried", tries, error } }],
      ...(isLast ? { steps: [undoRow(key, { index, state: "failed" })] } : {})
    })
    if (isLast) return
    // A node that goes away does not use up the tries that are left: another one has the wait and all of them.
    if (live.isDraining) {
      live.halt({ _tag: "Drained" })
      return yield* Effect.interrupt
    }
    yield* live.pause(Timings.undoPauseMillis * 2 ** (tries - 1))
  }
})

/** Ends the run as it would have ended without undos, or says why it cannot be ended. */
export const concludeUndo = (
  live: LiveRun,
  ending: Ending,
  exit: Exit.Exit<ReadonlyArray<string>>
): Effect.Effect<void> => {
  const { runId, agent } = live.run
  if (live.stop?._tag === "Lost") {
    return Effect.annotateLogs(Effect.logWarning("A run was lost", live.stop.error), { runId, agent })
  }
  if (Exit.isFailure(exit) && (live.stop !== undefined || Cause.hasInterruptsOnly(exit.cause))) {
    return live.writes.conclude({
      events: [{ type: "run_suspended", data: { reason: "drain", interrupts: [] } }],
      set: undoLater(live.now())
    })
  }
  if (Exit.isFailure(exit) || exit.value.length > 0) {
    const detail = Exit.isFailure(exit)
      ? "its undos cannot be run"
      : `its handler does not register ${exit.value.map((key) => `"${key}"`).join(", ")} any more`
    return holdForRepair(live, detail, ...(Exit.isFailure(exit) ? [exit.cause] : []))
  }
  return live.writes.conclude(endOf(ending, live.now()), ending.rule)
}

/** The commit that a run ends with. */
export const endOf = ({ error, forget, reason = "", state }: Ending, now: number): Parts => ({
  events: error === undefined
    ? [{ type: "run_cancelled", data: { reason } }]
    : [{ type: "error", data: error }],
  ...(forget.length === 0
    ? {}
    : { steps: forget.map((name): { name: string; value: Schema.Json } => ({ name, value: forgotten })) }),
  set: { state, finishedAt: now, ...(error === undefined ? {} : { error }) }
})
