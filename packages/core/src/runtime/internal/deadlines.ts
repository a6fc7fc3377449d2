// Ends runs at their deadlines: segment.ts stops its own, backgroundLoops.ts looks each second for runs that wait.
import { Effect, Fiber } from "effect"
import { DeadlineExceeded, type StoreUnavailable } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { ReadError, RunStore } from "../../store/RunStore.ts"
import { endRun } from "./cancel.ts"
import type { Ending, LiveRun } from "./liveRun.ts"
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
    yield* Effect.forEach(runs, (run) => endWaiting(node, run), atOnce)
    // Runs whose undos have begun are found again until they are through.
    if (runs.length < pageSize || runs.every(({ waitsFor }) => waitsFor === "undo" || waitsFor === "repair")) return
  }
})

/** Ends a run that waits. Of several nodes that find it, the one that takes it asks the error hooks. */
const endWaiting = (node: RunSupervisor, run: RunRecord): Effect.Effect<void> => {
  const ending = { _tag: "Cut", error: new DeadlineExceeded({ deadline: run.deadline ?? 0 }) } as const
  const asks = run.durable && node.hooksOf(run).some(({ points, watch }) => watch !== undefined || points?.error)
  // A run whose undos have begun has asked its hooks.
  if (!asks || run.waitsFor === "undo" || run.waitsFor === "repair") return endLogged(node, run, ending)
  const end = Effect.flatMap(
    taken(node, run),
    (own) => own === undefined ? Effect.void : endLogged(node, own, ending)
  )
  return node.runs.reserveClaim(run.runId, logged(run, end))
}

/** The run as this node's own: when this process is lost meanwhile, another one continues it, and it is at its deadline. */
const taken = (node: RunSupervisor, run: RunRecord) => {
  const { attempt, runId, state } = run
  const set = { state: "running", attempt: attempt + 1 } as const
  const take = { _tag: "Commit", runId, attempt, from: [state], ts: node.now(), events: [], set } as const
  return Effect.andThen(node.runs.evict(runId), node.commit(run, take))
}

const endLogged = (node: RunSupervisor, run: RunRecord, ending: Ending): Effect.Effect<void> =>
  logged(run, endRun(node, run, ending))

const logged = ({ runId }: RunRecord, end: Effect.Effect<unknown, ReadError>): Effect.Effect<void> =>
  Effect.asVoid(
    Effect.catch(
      end,
      (error) => Effect.annotateLogs(Effect.logError("A run could not be ended at its deadline", error), { runId })
    )
  )
