// A run as an admitted caller follows it: made once per request by start, fork, retry and open, so that nothing is
// authenticated or looked up again.
import { Effect, Stream } from "effect"
import type { Caller } from "../../door/Caller.ts"
import type { RunHandle } from "../../operations/Runtime.ts"
import { asRunError, notFound } from "../../run/internal/runErrors.ts"
import { InvalidCursor, RunError } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import type { Hub } from "./hub.ts"
import type { RunSupervisor } from "./runSupervisor.ts"

/** `hub` is the one that the run was launched with, when it was launched here. */
export const makeHandle = (node: RunSupervisor, { protocol }: Caller, run: RunRecord, hub?: Hub): RunHandle => {
  const { runId } = run
  const { store } = node.writerOf(run)

  const current = Effect.flatMap(
    asRunError(Effect.suspend(() => node.get(runId))),
    (found) => found === undefined ? Effect.fail(notFound(runId)) : Effect.succeed(found)
  )

  /** Asks the store, which may hold an event a moment before the node that drives the run knows of its commit. */
  const checkCursor = Effect.fnUntraced(function*(after: number) {
    if (within(run, after)) return
    const stored = yield* asRunError(store.get(runId))
    if (stored === undefined) return yield* Effect.fail(notFound(runId))
    if (within(stored, after)) return
    const reason = new InvalidCursor({ cursor: String(after), reason: `this run has events 1 to ${stored.seq}` })
    return yield* Effect.fail(new RunError({ reason }))
  })

  return {
    run,
    current,
    settled: asRunError(node.settled(run, hub)),
    follow: ({ after, until }) =>
      Effect.andThen(
        checkCursor(after),
        Effect.map(Tracing.current, (parent) => {
          const pages = node.follow(run, after, until, hub)
          const counted = Stream.suspend(() => {
            node.metrics.streams(protocol, 1)
            return Stream.ensuring(pages, Effect.sync(() => node.metrics.streams(protocol, -1)))
          })
          return Tracing.streamWithin(counted, "stream", () => ({
            ...(parent === undefined ? {} : { parent }),
            attributes: { "fastagentic.run.id": runId }
          }))
        })
      ),
    events: ({ after, limit }) =>
      Effect.andThen(checkCursor(after), asRunError(Effect.suspend(() => store.events(runId, after, limit)))),
    interrupts: asRunError(Effect.suspend(() => store.interrupts(runId)))
  }
}

const within = ({ seq }: RunRecord, after: number) => Number.isSafeInteger(after) && after >= 0 && after <= seq
