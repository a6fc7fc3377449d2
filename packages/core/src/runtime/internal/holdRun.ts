// Holds a run whose principal may not act: claim.ts instead of a claim, and the calls that disable an account, wherever the run
// is. A held run is suspended and waits for a principal; nothing of it is lost, and no part of it runs.
import { Effect } from "effect"
import type { StoreUnavailable } from "../../run/RunError.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { Changes, Commit, ReadError } from "../../store/RunStore.ts"
import type { RunSupervisor } from "./runSupervisor.ts"

/** The commit that holds a run. The attempt grows, so that whoever has it, in memory too, can write no more. */
export const holding = (base: Commit, run: RunRecord, detail: string, set: Changes = {}): Commit => ({
  ...base,
  events: [...base.events, { type: "run_suspended", data: { reason: "principal", interrupts: [], detail } }],
  set: {
    ...set,
    state: "suspended",
    waitsFor: "principal",
    attempt: run.state === "queued" ? run.attempt : run.attempt + 1
  }
})

/** Holds a run, wherever it is. Returns whether it was held by this: not when it has ended, or is held. */
export const holdRun = Effect.fnUntraced(function*(
  node: RunSupervisor,
  run: RunRecord,
  detail: string
): Effect.fn.Return<boolean, ReadError> {
  let seen: RunRecord | undefined = run
  while (seen !== undefined && !isFinal(seen.state) && seen.waitsFor !== "principal") {
    if (yield* hold(node, seen, detail)) return true
    seen = yield* node.get(run.runId)
  }
  return false
})

/** Holds the run and does its follow-up work; uninterruptible, so that a caller that disconnects leaves nothing out. */
const hold = (node: RunSupervisor, run: RunRecord, detail: string): Effect.Effect<boolean, StoreUnavailable> => {
  const { attempt, runId, state } = run
  const base: Commit = { _tag: "Commit", runId, attempt, from: [state], ts: node.now(), events: [] }
  return Effect.uninterruptible(
    Effect.flatMap(node.commit(run, holding(base, run, detail)), (held) => {
      if (held === undefined) return Effect.succeed(false)
      node.runs.lose(runId)
      return Effect.as(node.onSettled(held, false), true)
    })
  )
}
