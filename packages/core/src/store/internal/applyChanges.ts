import type { RunRecord } from "../../run/RunRecord.ts"
import type { Changes } from "../RunStore.ts"

/** A record after a commit: whoever changes the state says anew what the run waits for. */
export const applyChanges = (run: RunRecord, set: Changes | undefined, at: {
  readonly seq: number
  readonly ts: number
}): RunRecord => {
  const after = { ...run, ...set, seq: at.seq, updatedAt: at.ts }
  if (set?.state === undefined) return after
  const { wakeAt: _wakeAt, waitsFor: _waitsFor, ...rest } = after
  return {
    ...rest,
    ...(set.wakeAt === undefined ? {} : { wakeAt: set.wakeAt }),
    ...(set.waitsFor === undefined ? {} : { waitsFor: set.waitsFor })
  }
}
