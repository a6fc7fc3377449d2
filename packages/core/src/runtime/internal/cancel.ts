// Ends a run wherever it is: cancels it with its unfinished children, or fails it at its deadline. Runtime, onSettled and
// deadlines.ts call it.
import { Effect, Option, Stream } from "effect"
import { refused } from "../../run/internal/failure.ts"
import type { StoreUnavailable } from "../../run/RunError.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { Commit, Fact, ReadError } from "../../store/RunStore.ts"
import type { Stop } from "./liveRun.ts"
import type { RunSupervisor } from "./runSupervisor.ts"

/** How many children are read in one go. */
const pageSize = 256

/** How a run is ended from outside of its handler. */
export type Ending = Extract<Stop, { readonly _tag: "Cancelled" | "Cut" }>

/** Cancels a run, wherever it is, and those that it has started. A run that has ended stays as it is and is the answer. */
export const cancelRun = (node: RunSupervisor, run: RunRecord, reason: string, facts: ReadonlyArray<Fact> = []) =>
  endRun(node, run, { _tag: "Cancelled", reason, facts })

/** Ends a run, wherever it is, and those that it has started. A run that has ended stays as it is and is the answer. */
export const endRun = Effect.fnUntraced(function*(
  node: RunSupervisor,
  run: RunRecord,
  ending: Ending
): Effect.fn.Return<RunRecord | undefined, ReadError> {
  let seen: RunRecord | undefined = run
  while (seen !== undefined && !isFinal(seen.state)) {
    // A run that pauses or moves at this very moment takes another turn.
    if (!(yield* node.end(run.runId, ending))) yield* endInStore(node, seen, ending)
    seen = yield* node.get(run.runId)
  }
  return seen
})

/** With what follows an end: a caller that disconnects does not keep the run's children alive. */
const endInStore = (node: RunSupervisor, run: RunRecord, ending: Ending) =>
  Effect.uninterruptible(Effect.flatMap(
    node.commit(run, commitOf(node, run, ending)),
    (ended) => ended === undefined ? Effect.void : node.onSettled(ended, true)
  ))

/** Takes a run from whoever has it: what an owner elsewhere writes after this is refused. */
const commitOf = (node: RunSupervisor, { attempt, runId }: RunRecord, ending: Ending): Commit => {
  const ts = node.now()
  const base = { _tag: "Commit", runId, attempt, from: ["queued", "running", "suspended"], ts } as const
  if (ending._tag === "Cancelled") {
    const { facts = [], reason } = ending
    return {
      ...base,
      facts,
      events: [{ type: "run_cancelled", data: { reason } }],
      set: { state: "cancelled", finishedAt: ts }
    }
  }
  const error = refused(ending.error)
  return { ...base, events: [{ type: "error", data: error }], set: { state: "failed", error, finishedAt: ts } }
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
