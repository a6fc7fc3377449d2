// Resumes running runs whose node is lost; backgroundLoops calls it. It never takes a run that this node drives.
import { Effect } from "effect"
import * as Timings from "../../base/Timings.ts"
import type { RunError, StoreUnavailable } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { RunStore } from "../../store/RunStore.ts"
import { claim } from "./claim.ts"
import type { Callables } from "./resolveHandlers.ts"
import type { RunSupervisor } from "./runSupervisor.ts"

/**
 * Resumes runs that no node drives, on this node unless an engine is set. A run whose agent the app does not declare stays as it is; a run that
 * was lost with its node too often is held until a caller resumes it.
 */
export const reconcile = Effect.fnUntraced(function*(
  node: RunSupervisor,
  callables: Callables,
  runs: RunStore["Service"]["unfinished"],
  goOn: typeof claim = claim
): Effect.fn.Return<void, StoreUnavailable> {
  for (const run of yield* runs) {
    if (node.closing || node.runs.has(run.runId)) continue
    const annotate = Effect.annotateLogs({ runId: run.runId, agent: run.agent })
    const bound = callables[run.kind].get(run.agent)
    if (bound === undefined) continue
    const crashes = node.runs.lossesOf(run)
    // Runs that were lost too often are resumed one at a time: the next loss then says which of them ends its node, and the
    // others were only present.
    if (crashes === Timings.lossesUntilHeld - 1 && node.runs.isOnProbation) continue
    const next: Effect.Effect<unknown, RunError | StoreUnavailable> = crashes >= Timings.lossesUntilHeld
      ? Effect.andThen(Effect.logError("A run was lost with its node too often and waits for repair"), hold(node, run))
      : goOn(node, bound, run, { from: ["running"], crashes })
    yield* annotate(
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
