import type { Caller } from "@fastagentic/core/door/Caller"
import type { Page, Runtime } from "@fastagentic/core/operations/Runtime"
import { RunError } from "@fastagentic/core/run/RunError"
import { isFinal, type RunRecord } from "@fastagentic/core/run/RunRecord"
import { Effect, Stream } from "effect"

/** Whether a run pauses for something that comes by itself: a time, or the end of a run that it has started. */
export const goesOnByItself = ({ state, waitsFor }: Pick<RunRecord, "state" | "waitsFor">): boolean =>
  state === "suspended" && (waitsFor === undefined || waitsFor === "timer" || waitsFor === "child")

const pausesAt = (run: RunRecord, seq: number) =>
  isFinal(run.state) || (run.state === "suspended" && run.seq <= seq && !goesOnByItself(run))

/** The journal after an event until the run has ended or waits for somebody, over pauses that end by themselves. */
export const untilSomebody = (
  runtime: Runtime["Service"],
  caller: Caller,
  runId: string,
  after: number
): Effect.Effect<Stream.Stream<Page, RunError>, RunError> =>
  Effect.gen(function*() {
    const run = yield* runtime.get(caller, runId)
    const waits = run.seq === after && pausesAt(run, after)
    const pages = yield* runtime.follow(caller, runId, { after, until: waits ? "settled" : "final" })
    return pages.pipe(
      Stream.mapError((reason) => new RunError({ reason })),
      Stream.takeUntilEffect(({ events }) => {
        const last = events.at(-1)
        return last?.type === "run_suspended" || last?.type === "interrupt_resolved"
          ? Effect.map(runtime.get(caller, runId), (now) => pausesAt(now, last.seq))
          : Effect.succeed(false)
      })
    )
  })
