// Ends runs at their deadlines: segment.ts stops its own, backgroundLoops.ts looks each second for runs that wait.
import { Effect, Fiber } from "effect"
import { DeadlineExceeded, type StoreUnavailable } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { RunStore } from "../../store/RunStore.ts"
import { type Ending, endRun } from "./cancel.ts"
import type { LiveRun } from "./liveRun.ts"
import { keepsPlace } from "./liveRuns.ts"
import type { RunSupervisor } from "./runSupervisor.ts"

/** How many runs are read in one go. */
const pageSize = 256

/** A hook of one run that takes its time holds up few others. */
const atOnce = { concurrency: 16, discard: true } as const

/** How long the end of a run that rests is left to those who look for runs that wait, in milliseconds. */
const again = 1_000

/** Stops a segment when the deadline of its run comes, unless the run rests then. */
export const untilDeadline = <A, E, R>(live: LiveRun, segment: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const { deadline } = live.run
  if (deadline === undefined) return segment
  const stop: Effect.Effect<void> = Effect.suspend(() => {
    if (live.resting.phase !== "running") return Effect.delay(stop, again)
    return Effect.sync(() => live.halt({ _tag: "Cut", error: new DeadlineExceeded({ deadline }) }))
  })
  const timer = Effect.interruptible(Effect.delay(stop, Math.max(0, deadline - live.now())))
  return Effect.flatMap(Effect.forkChild(timer), (fiber) => Effect.ensuring(segment, Fiber.interrupt(fiber)))
}

/**
 * Ends the queued and suspended runs of a store whose deadline has come, wherever they are, and those in memory here that
 * were stopped and whose code does not stop.
 */
export const endOverdue = Effect.fnUntraced(function*(
  node: RunSupervisor,
  store: RunStore["Service"]
): Effect.fn.Return<void, StoreUnavailable> {
  for (const { agent, runId, traceId } of node.runs.findStuck()) {
    yield* Effect.annotateLogs(Effect.logWarning(`A run has left this node, and ${keepsPlace}`), {
      runId,
      agent,
      traceId
    })
  }
  yield* Effect.forEach(node.runs.unstopped(store), ({ ending, run }) => endLogged(node, run, ending), atOnce)
  while (!node.closing) {
    const runs = yield* store.overdue({ now: node.now(), limit: pageSize })
    yield* Effect.forEach(
      runs,
      (run) => endLogged(node, run, { _tag: "Cut", error: new DeadlineExceeded({ deadline: run.deadline ?? 0 }) }),
      atOnce
    )
    // Runs whose undos have begun are found again until they are through.
    if (runs.length < pageSize || runs.every(({ waitsFor }) => waitsFor === "undo" || waitsFor === "repair")) return
  }
})

const endLogged = (node: RunSupervisor, run: RunRecord, ending: Ending) =>
  Effect.catch(
    endRun(node, run, ending),
    (error) =>
      Effect.annotateLogs(Effect.logError("A run could not be ended at its deadline", error), { runId: run.runId })
  )
