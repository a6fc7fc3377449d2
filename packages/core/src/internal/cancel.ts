import { Effect } from "effect"
import { isFinal, type RunRecord } from "../RunRecord.ts"
import type { ReadError } from "../RunStore.ts"
import type { Node } from "./node.ts"

/** Ends a run, wherever it is, and those that it has started. One that has ended stays as it is and is the answer. */
export const cancelRun = Effect.fnUntraced(function*(
  node: Node,
  run: RunRecord,
  reason: string
): Effect.fn.Return<RunRecord | undefined, ReadError> {
  let seen: RunRecord | undefined = run
  while (seen !== undefined && !isFinal(seen.state)) {
    // A run that pauses or moves at this very moment takes another turn.
    if (!(yield* node.cancel(run.runId, reason))) {
      const ended = yield* node.commit(seen, cancellation(node, seen, reason))
      if (ended !== undefined) yield* node.rested(ended, true)
    }
    seen = yield* node.get(run.runId)
  }
  return seen
})

/** Takes a run from whoever has it: what an owner elsewhere writes after this is refused. */
const cancellation = (node: Node, { attempt, runId }: RunRecord, reason: string) => {
  const ts = node.now()
  return {
    _tag: "Commit",
    runId,
    attempt,
    from: ["queued", "running", "suspended"],
    ts,
    events: [{ type: "run_cancelled", data: { reason } }],
    set: { state: "cancelled", finishedAt: ts }
  } as const
}

/** Ends what a run has started and that has not ended. */
export const cancelChildren = Effect.fnUntraced(function*(node: Node, parent: RunRecord) {
  const query = { tenant: parent.tenant, parentRunId: parent.runId, limit: 1_000 }
  for (const store of [node.durable.store, node.ephemeral.store]) {
    for (const child of yield* store.list(query)) {
      if (!isFinal(child.state)) yield* cancelRun(node, child, "the run that started it has ended")
    }
  }
})
