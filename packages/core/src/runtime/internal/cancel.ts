// Cancels a run wherever it is, and its unfinished children; Runtime and onSettled call it.
import { Effect, Option, Stream } from "effect"
import type { StoreUnavailable } from "../../run/RunError.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { ReadError } from "../../store/RunStore.ts"
import type { RunSupervisor } from "./runSupervisor.ts"

/** How many children are read in one go. */
const pageSize = 256

/** Ends a run, wherever it is, and those that it has started. One that has ended stays as it is and is the answer. */
export const cancelRun = Effect.fnUntraced(function*(
  node: RunSupervisor,
  run: RunRecord,
  reason: string
): Effect.fn.Return<RunRecord | undefined, ReadError> {
  let seen: RunRecord | undefined = run
  while (seen !== undefined && !isFinal(seen.state)) {
    // A run that pauses or moves at this very moment takes another turn.
    if (!(yield* node.cancel(run.runId, reason))) {
      const ended = yield* node.commit(seen, cancellation(node, seen, reason))
      if (ended !== undefined) yield* node.onSettled(ended, true)
    }
    seen = yield* node.get(run.runId)
  }
  return seen
})

/** Takes a run from whoever has it: what an owner elsewhere writes after this is refused. */
const cancellation = (node: RunSupervisor, { attempt, runId }: RunRecord, reason: string) => {
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

/** Cancels the unfinished children of a run. */
export const cancelChildren = (node: RunSupervisor, parent: RunRecord) =>
  Stream.runForEach(
    openChildren(node, parent),
    (child) => cancelRun(node, child, "the run that started it has ended")
  )

/** The unfinished children of a run, the newest first. */
export const openChildren = (
  node: RunSupervisor,
  { runId: parentRunId, tenant }: RunRecord
): Stream.Stream<RunRecord, StoreUnavailable> =>
  Stream.fromArray([node.durable.store, node.ephemeral.store]).pipe(
    Stream.flatMap(({ list }) =>
      Stream.paginate(
        undefined,
        (before: string | undefined) =>
          Effect.map(
            list({ tenant, parentRunId, limit: pageSize, ...(before === undefined ? {} : { before }) }),
            (page) => [
              page,
              page.length < pageSize ? Option.none() : Option.fromUndefinedOr(page.at(-1)?.runId)
            ]
          )
      )
    ),
    Stream.filter(({ state }) => !isFinal(state))
  )
