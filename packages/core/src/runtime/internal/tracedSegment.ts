// The span of a segment, in an app that has a tracer. RunSupervisor puts it around each segment that it launches.
import { Effect, type Tracer } from "effect"
import { RunEndedWith } from "../../run/internal/runEndedWith.ts"
import { spanOf } from "../../telemetry/internal/genAiAttributes.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import type { LiveRun } from "./liveRun.ts"

/** A segment within its span, which says how the run stands at its end. */
export const traced = (
  live: LiveRun,
  segment: Effect.Effect<void>,
  origin: Pick<Tracer.SpanOptionsNoTrace, "parent" | "links">
): Effect.Effect<void> => {
  const { attributes, name } = spanOf(live.run)
  const body = segment.pipe(
    Effect.andThen(Tracing.note(() => ({ "fastagentic.run.state": live.run.state }))),
    Effect.andThen(
      Effect.suspend(() =>
        live.run.error === undefined ? Effect.void : Effect.fail(new RunEndedWith({ tag: live.run.error.tag }))
      )
    )
  )
  return Effect.ignore(Tracing.within(body, name, () => ({ ...origin, attributes })))
}
