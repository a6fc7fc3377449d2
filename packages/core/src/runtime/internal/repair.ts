// Holds a run whose handler does something else than is recorded: segment.ts and undoSegment.ts end a segment with it. The run
// stays as it was committed; the right code and `resume` continue it.
import { Cause, Effect } from "effect"
import { RecordMisfit } from "../../run/internal/recordMisfit.ts"
import type { LiveRun } from "./liveRun.ts"

export const holdForRepair = (live: LiveRun, detail: string, ...causes: ReadonlyArray<unknown>): Effect.Effect<void> =>
  Effect.andThen(
    Effect.annotateLogs(Effect.logError(`A run waits for repair: ${detail}`, ...causes), {
      runId: live.run.runId,
      agent: live.run.agent
    }),
    live.writes.conclude({
      events: [{ type: "run_suspended", data: { reason: "repair", interrupts: [], detail } }],
      set: { state: "suspended", waitsFor: "repair" }
    })
  )

/** The recorded value that the handler could not read, if that is how it failed. */
export const misfitIn = (cause: Cause.Cause<unknown>): string | undefined => {
  for (const reason of cause.reasons) {
    if (Cause.isDieReason(reason) && reason.defect instanceof RecordMisfit) return reason.defect.message
  }
  return undefined
}
