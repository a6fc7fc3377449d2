// The line of the audit log about a run that ends or pauses. LiveRun and the supervisor add it to the commit that does it.
import type { Entry } from "../../audit/Audit.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { Changes } from "../../store/RunStore.ts"

/** Whether a run comes to an end or a pause with these changes. */
export const settles = (set: Changes | undefined): boolean =>
  set?.state !== undefined && (set.state === "suspended" || isFinal(set.state))

export const runEntry = (run: RunRecord, set: Changes = {}, at: number, rule?: string): Entry => {
  const { costUsd } = set.usage ?? run.usage ?? {}
  return {
    at,
    tenant: run.tenant,
    principal: run.owner,
    action: "run",
    target: `${run.kind}/${run.agent}`,
    decision: set.state ?? run.state,
    runId: run.runId,
    traceId: run.traceId,
    ...(rule === undefined ? {} : { rule }),
    ...(costUsd === undefined ? {} : { costUsd })
  }
}
