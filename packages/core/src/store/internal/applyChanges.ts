// The one place that applies a commit's changes to a record: the memory store and every reader of a later state call it.
import { Struct } from "effect"
import type { RunRecord } from "../../run/RunRecord.ts"
import { waitFields } from "../RecordFields.ts"
import type { Changes } from "../RunStore.ts"

/** A record after a commit: a change of state clears the fields that say what the run waits for, unless it sets them. */
export const applyChanges = (run: RunRecord, set: Changes | undefined, at: {
  readonly seq: number
  readonly ts: number
}): RunRecord => {
  const waits = set?.state !== undefined && waitFields.some((field) => run[field] !== undefined)
  const kept = waits ? Struct.omit(run, waitFields) : run
  return { ...kept, ...set, seq: at.seq, updatedAt: at.ts }
}
