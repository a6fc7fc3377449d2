// Ends a run wherever it is: cancels it with its unfinished children, or fails it at its deadline. Runtime, onSettled and
// deadlines.ts call it.
import { Effect, Exit, Option, Stream } from "effect"
import { refusalOf } from "../../audit/internal/refusalOf.ts"
import * as Timings from "../../base/Timings.ts"
import type { StoreUnavailable } from "../../run/RunError.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { Commit, Fact, ReadError } from "../../store/RunStore.ts"
import { endFailure } from "./endFailure.ts"
import type { Ending } from "./liveRun.ts"
import { keepsPlace } from "./liveRuns.ts"
import type { RunSupervisor } from "./runSupervisor.ts"
import { type Ending as KeptEnding, endingIn, endingKey, endingRow, openUndos } from "./undoRows.ts"
import { endOf, undoLater } from "./undoSegment.ts"

/** How many children are read in one go. */
const pageSize = 256

/** Cancels a run, wherever it is, and those that it has started. A run that has ended stays as it is and is the answer. */
export const cancelRun = (node: RunSupervisor, run: RunRecord, reason: string, facts: ReadonlyArray<Fact> = []) =>
  endRun(node, run, { _tag: "Cancelled", reason, facts })

/**
 * Ends a run, wherever it is, and those that it has started. A run that has ended stays as it is and is the answer; one that
 * has undos is the answer as soon as they are to run.
 */
export const endRun = Effect.fnUntraced(function*(
  node: RunSupervisor,
  run: RunRecord,
  ending: Ending
): Effect.fn.Return<RunRecord | undefined, ReadError> {
  const seen = yield* beginEnd(node, run, ending)
  if (seen === undefined || isFinal(seen.state) || !seen.durable) return seen
  const rows = yield* node.writerOf(seen).store.steps(run.runId)
  // Somebody has begun to end a run that has nothing to undo: its end is the next commit.
  return openUndos(rows).length > 0 ? seen : yield* whenEnded(node, seen)
})

const beginEnd = Effect.fnUntraced(function*(
  node: RunSupervisor,
  run: RunRecord,
  ending: Ending
): Effect.fn.Return<RunRecord | undefined, ReadError> {
  let seen: RunRecord | undefined = run
  let turns = 0
  while (seen !== undefined && !isFinal(seen.state) && seen.waitsFor !== "undo") {
    if (seen.state === "running" && node.runs.isUndoing(run.runId)) return seen
    // A run that pauses or moves at this very moment takes another turn.
    if (!(yield* node.runs.end(run.runId, ending)) && (yield* endInStore(node, seen, ending))) return seen
    // A store that keeps showing an older run is not asked all the time.
    if (++turns > 2) yield* Effect.sleep(Math.min(1_000, 10 * 2 ** turns))
    seen = yield* node.get(run.runId)
  }
  return seen
})

/** The run once it has ended, or as it is when that takes too long or the server goes away. */
const whenEnded = (node: RunSupervisor, run: RunRecord): Effect.Effect<RunRecord | undefined, ReadError> =>
  Effect.flatMap(
    Effect.timeoutOption(untilFinal(node, run), Timings.undoMillis),
    (ended) => Option.isSome(ended) ? Effect.succeed(ended.value) : node.get(run.runId)
  )

/** The hub of a run that was lost here closes before the run has ended, and the next one reads the store and waits. */
const untilFinal = (node: RunSupervisor, run: RunRecord): Effect.Effect<RunRecord, ReadError> =>
  Effect.flatMap(
    node.ended(run),
    (ended) => isFinal(ended.state) || node.closing ? Effect.succeed(ended) : untilFinal(node, ended)
  )

/** As `endRun`, and waits for its undos. Returns the run as it is when they take too long. */
export const cancelWhole = Effect.fnUntraced(function*(
  node: RunSupervisor,
  run: RunRecord,
  reason: string
): Effect.fn.Return<RunRecord | undefined, ReadError> {
  const seen = yield* cancelRun(node, run, reason)
  if (seen === undefined || isFinal(seen.state)) return seen
  return yield* whenEnded(node, seen)
})

/**
 * Ends a run that is not in memory here. Returns whether it comes to its end already. With what follows an end: a caller
 * that disconnects does not keep the run's children alive.
 */
const endInStore = (node: RunSupervisor, run: RunRecord, ending: Ending): Effect.Effect<boolean, ReadError> =>
  Effect.uninterruptible(Effect.suspend(() => {
    const fence = node.runs.fence(run.runId)
    const ended = Effect.onExit(
      writeEnd(node, run, ending),
      (exit) => Exit.isSuccess(exit) ? Effect.void : Effect.sync(() => fence?.open())
    )
    if (fence === undefined) return ended
    const { agent, runId, traceId } = run
    return Effect.tap(
      ended,
      () => Effect.annotateLogs(Effect.logWarning(`A run was ended, and ${keepsPlace}`), { runId, agent, traceId })
    )
  }))

/** The end of a run from outside of its code. */
interface OutsideEnd {
  readonly kept: KeptEnding
  /** The events before the end. */
  readonly events: Commit["events"]
  readonly facts: ReadonlyArray<Fact>
}

const outsideEnd = (node: RunSupervisor, run: RunRecord, ending: Ending): Effect.Effect<OutsideEnd> => {
  if (ending._tag === "Cancelled") {
    const { facts = [], reason } = ending
    return Effect.succeed({ kept: { state: "cancelled", reason, forget: [] }, events: [], facts })
  }
  const { error } = ending
  const rule = error._tag === "HookBlocked" ? { rule: refusalOf(error).rule } : {}
  return Effect.map(endFailure(node, run, ending), ({ events, failure }) => ({
    kept: { state: "failed", error: failure, ...rule, forget: [] },
    events,
    facts: []
  }))
}

const writeEnd = Effect.fnUntraced(function*(
  node: RunSupervisor,
  run: RunRecord,
  ending: Ending
): Effect.fn.Return<boolean, ReadError> {
  const writer = node.writerOf(run)
  const rows = run.durable ? yield* writer.store.steps(run.runId) : []
  const begun = endingIn(rows.find(({ name }) => name === endingKey)?.value)
  if (begun !== undefined) {
    // Only a caller gives up undos that cannot be run.
    const isByCaller = ending._tag === "Cancelled" && (ending.facts ?? []).length > 0
    if (run.waitsFor !== "repair" || !isByCaller) return true
    yield* commitEnd(node, run, { kept: begun, events: [], facts: ending.facts ?? [] })
    return false
  }
  const end = yield* outsideEnd(node, run, ending)
  if (!run.durable || (run.state !== "running" && openUndos(rows).length === 0)) {
    yield* commitEnd(node, run, end)
    return false
  }
  return yield* endAfterUndos(node, run, end)
})

/** Takes a run from whoever has it: only then it is known what there is to undo. */
const endAfterUndos = Effect.fnUntraced(function*(node: RunSupervisor, run: RunRecord, end: OutsideEnd) {
  const writer = node.writerOf(run)
  const attempt = run.attempt + 1
  const taken = {
    ...baseOf(node, run),
    from: [run.state],
    events: end.events,
    steps: [endingRow(end.kept)],
    set: { ...undoLater(node.now()), attempt },
    facts: end.facts
  }
  if ((yield* writer.write(taken))._tag !== "Committed") return false
  const seen = yield* node.get(run.runId)
  if (seen === undefined || seen.attempt !== attempt || isFinal(seen.state)) return false
  if (openUndos(yield* writer.store.steps(run.runId)).length === 0) {
    yield* commitEnd(node, seen, { ...end, events: [], facts: [] })
    return false
  }
  node.runs.lose(run.runId)
  yield* node.onSettled(seen, true)
  return false
})

/** Takes a run from whoever has it: what an owner elsewhere writes after this is refused. */
const commitEnd = Effect.fnUntraced(
  function*(node: RunSupervisor, run: RunRecord, { events, facts, kept }: OutsideEnd) {
    const end = endOf(kept, node.now())
    const commit = { ...baseOf(node, run), ...end, events: [...events, ...end.events], facts }
    const ended = yield* node.commit(run, commit, kept.rule)
    if (ended === undefined) return
    node.runs.showEnd(ended)
    yield* node.onSettled(ended, true)
  }
)

const baseOf = (node: RunSupervisor, { attempt, runId }: RunRecord) =>
  ({
    _tag: "Commit",
    runId,
    attempt,
    from: ["queued", "running", "suspended"],
    ts: node.now(),
    events: []
  }) satisfies Commit

/** Cancels a run whose parent has given up the branch that waited for it. What fails now is done at the parent's end. */
export const cancelAbandoned = (node: RunSupervisor, child: RunRecord): Effect.Effect<void> =>
  Effect.ignore(cancelRun(node, child, "the run that started it has given up its answer"))

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
