// The questions of the runs that a run waits for, which its caller sees as those of the run itself: elicitation, tasks and
// results ask for them. The runs of a delegation have the owner of the run that delegates.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { RunHandle, Runtime } from "@fastagentic/core/operations/Runtime"
import type { Interrupt } from "@fastagentic/core/run/Interrupt"
import { RunError } from "@fastagentic/core/run/RunError"
import { isFinal, needsSomebody, type RunRecord } from "@fastagentic/core/run/RunRecord"
import { Effect, Stream } from "effect"

type Of = Pick<RunRecord, "runId" | "state" | "waitsFor">

/** The runs that one run waits for at a time, at most, whose questions are asked. */
const limit = 50

const waitsForChild = ({ state, waitsFor }: Of) => state === "suspended" && waitsFor === "child"

/** The runs that a run has started and that have not ended. */
const children = (runtime: Runtime["Service"], caller: Caller, { runId }: Of) =>
  Effect.map(
    runtime.list(caller, { parentRunId: runId, limit, mine: true }),
    ({ items }) => items.filter(({ state }) => !isFinal(state))
  )

/** The open questions below a run, as `read` finds those of one run. */
const below = (
  runtime: Runtime["Service"],
  caller: Caller,
  run: Of,
  read: (runId: string) => Effect.Effect<ReadonlyArray<Interrupt>, RunError>
): Effect.Effect<ReadonlyArray<Interrupt>, RunError> =>
  waitsForChild(run)
    ? Effect.flatMap(children(runtime, caller, run), (runs) =>
      Effect.map(
        Effect.forEach(
          runs,
          (child) => child.waitsFor === "interrupt" ? read(child.runId) : below(runtime, caller, child, read)
        ),
        (found) => found.flat()
      ))
    : Effect.succeed([])

/** The open questions of a run and of those that it waits for, which the caller may decide. */
export const decidable = (
  runtime: Runtime["Service"],
  caller: Caller,
  run: Of
): Effect.Effect<ReadonlyArray<Interrupt>, RunError> =>
  Effect.zipWith(
    runtime.decidable(caller, run.runId),
    below(runtime, caller, run, (runId) => runtime.decidable(caller, runId)),
    (own, others) => [...own, ...others]
  )

/** The open questions of the runs that a run waits for, also those that somebody else decides. */
export const open = (
  runtime: Runtime["Service"],
  caller: Caller,
  run: Of
): Effect.Effect<ReadonlyArray<Interrupt>, RunError> =>
  below(
    runtime,
    caller,
    run,
    (runId) => Effect.map(runtime.interrupts(caller, runId), (all) => all.filter(({ state }) => state === "open"))
  )

/** Ends once a run that this one waits for needs somebody, and never when none of them does. */
export const asks = (runtime: Runtime["Service"], caller: Caller, run: Of): Effect.Effect<void, RunError> =>
  waitsForChild(run)
    ? Effect.flatMap(
      children(runtime, caller, run),
      (runs) =>
        runs.length === 0 ?
          Effect.never :
          Effect.raceAll(
            runs.map(({ runId }) =>
              Effect.flatMap(runtime.open(caller, runId), (handle) => pauses(runtime, caller, handle))
            )
          )
    )
    : Effect.never

const pauses = (runtime: Runtime["Service"], caller: Caller, handle: RunHandle): Effect.Effect<void, RunError> =>
  Effect.flatMap(handle.settled, (run) => {
    if (isFinal(run.state)) return Effect.never
    if (needsSomebody(run)) return Effect.void
    const later = handle.follow({ after: run.seq, until: "somebody" }).pipe(
      Effect.flatMap((pages) => Effect.mapError(Stream.runDrain(pages), (reason) => new RunError({ reason }))),
      Effect.andThen(handle.current),
      Effect.flatMap((now) => needsSomebody(now) ? Effect.void : Effect.never)
    )
    return Effect.raceFirst(asks(runtime, caller, run), later)
  })
