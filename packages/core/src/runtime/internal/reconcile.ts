import { Effect } from "effect"
import type { RunError, StoreUnavailable } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { RunStore } from "../../store/RunStore.ts"
import { claim } from "./claim.ts"
import type { Callables } from "./resolveHandlers.ts"
import type { RunSupervisor } from "./runSupervisor.ts"

/** After so many owners that were lost before they committed a step, a run is held back: it may be what ended them. */
const crashLimit = 3

/**
 * Continues runs that nobody drives, on this node unless told otherwise. What this app does not declare any more stays as it is; what has ended its node too
 * often waits until somebody resumes it.
 */
export const reconcile = Effect.fnUntraced(function*(
  node: RunSupervisor,
  callables: Callables,
  runs: RunStore["Service"]["unfinished"],
  goOn: typeof claim = claim
): Effect.fn.Return<void, StoreUnavailable> {
  for (const run of yield* runs) {
    if (node.closing || node.has(run.runId)) continue
    const about = Effect.annotateLogs({ runId: run.runId, agent: run.agent })
    const bound = callables[run.kind].get(run.agent)
    if (bound === undefined) continue
    const crashes = run.crashes + 1
    const next: Effect.Effect<unknown, RunError | StoreUnavailable> = crashes > crashLimit
      ? Effect.andThen(Effect.logError("A run was lost with its node too often and waits for repair"), hold(node, run))
      : goOn(node, bound, run, { from: ["running"], crashes })
    yield* about(
      Effect.catchTag(
        next,
        ["RunError", "StoreUnavailable"],
        (error) => Effect.logError("A run could not be continued", error)
      )
    )
  }
})

const hold = (node: RunSupervisor, run: RunRecord) =>
  node.commit(run, {
    _tag: "Commit",
    runId: run.runId,
    attempt: run.attempt,
    from: ["running"],
    ts: node.now(),
    events: [{ type: "run_suspended", data: { reason: "repair", interrupts: [] } }],
    // The attempt grows, so that whoever had it can write no more.
    set: { state: "suspended", waitsFor: "repair", attempt: run.attempt + 1, crashes: 0 }
  })
