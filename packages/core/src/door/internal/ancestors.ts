// The causes of a delegated run with those of the runs that wait for it; the door and the lists of interrupts ask for them.
// A run takes its parent's causes when it starts, and somebody may resume or steer the parent later.
import { Effect } from "effect"
import { asRunError } from "../../run/internal/runErrors.ts"
import type { RunError } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import * as Authorization from "../Authorization.ts"

type Started = Authorization.Owned & Pick<RunRecord, "parentRunId">

/** Causes beyond those of the run itself, which is returned as it is when it has no parent. */
export const withCausesOfAncestors = Effect.fnUntraced(function*<R extends Started>(
  node: Pick<RunSupervisor, "get">,
  run: R
): Effect.fn.Return<R, RunError> {
  if (run.parentRunId === undefined) return run
  const causes = [...Authorization.causesOf(run)]
  let parentRunId: string | undefined = run.parentRunId
  while (parentRunId !== undefined) {
    const parent: RunRecord | undefined = yield* asRunError(node.get(parentRunId))
    if (parent === undefined) break
    causes.push(...Authorization.causesOf(parent))
    parentRunId = parent.parentRunId
  }
  return { ...run, ...Authorization.withCauses(run.owner, ...causes) }
})
