// Runs a step once per run: gives the stored outcome, or runs the body in a place of its own and commits what it came to.
// The service of a run (currentRun.ts) calls it; a body whose outcome is stored never runs.
import { Effect, Exit, type Schema } from "effect"
import { direct } from "../../hook/internal/dispatch.ts"
import type { OutputGuards } from "../../hook/internal/outputGuards.ts"
import type * as Event from "../../run/Event.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import type { LiveRun } from "./liveRun.ts"
import { insideStep, type Place } from "./names.ts"
import { checkpointOf, jsonLength, replayed, stepped, storable } from "./stepOutcome.ts"

export const step = <E, R>(
  live: LiveRun,
  place: Place,
  guards: OutputGuards | undefined,
  name: string,
  effect: Effect.Effect<Schema.Json, E, R>,
  after: ((value: Schema.Json) => ReadonlyArray<Event.Event>) | undefined
): Effect.Effect<Schema.Json, E, R> =>
  live.named("step", place, name, (key) => {
    const known = live.outcomes.recorded(key)
    if (known !== undefined) return replayed(live, place, key, known)
    const inside = insideStep(place, key)
    const within = guards?.inStep((event) => live.emit(inside, event))
    const once = live.enteringAs(inside, live.serviceIn(inside, within), effect)
    const { activity } = live.resting
    return live.outcomes.caughtUp("step", place, key).pipe(
      Effect.andThen(Effect.suspend(() => {
        activity.enter(inside)
        return once
      })),
      Effect.flatMap((value) => storable(key, value)),
      Effect.tap((value) => {
        const events = after?.(value) ?? []
        const keep = (passed: ReadonlyArray<Event.Event>) => {
          const recorded = passed.map((event) => ({ ...event, place: key }))
          const isMeasured = live.dispatch.checkpoint !== direct.checkpoint || (live.run.durable && passed.length === 0)
          return Effect.flatMap(isMeasured ? jsonLength(value) : unmeasured, (bytes) => {
            const parts = stepped(live, key, value, recorded, bytes)
            return checkpoint(live, key, bytes, live.run.durable ? live.writes.commit(parts) : live.writes.post(parts))
          })
        }
        return within === undefined
          ? keep(events)
          : Effect.andThen(within.flush, Effect.flatMap(within.pass(events), keep))
      }),
      Effect.onExit((exit) => {
        if (inside.isRunning) activity.leave(inside)
        return Exit.isSuccess(exit) ? Effect.void : live.outcomes.failed(key, exit.cause)
      })
    )
  })

/** Nothing is said of the size of a step that has an event of its own, unless a hook asks. */
const unmeasured = Effect.succeed(0)

/** Hooks stand around the commit of a step, from which a run resumes; one that refuses ends the run. */
const checkpoint = (
  live: LiveRun,
  step: string,
  bytes: number,
  commit: Effect.Effect<void>
): Effect.Effect<void> => {
  const traced = live.traced
    ? Tracing.within(commit, "checkpoint", () => ({ attributes: { "fastagentic.step": step } }))
    : commit
  if (live.dispatch.checkpoint === direct.checkpoint) return traced
  const call = checkpointOf(step, bytes).data
  return Effect.orDie(live.dispatch.checkpoint(call, () => traced))
}
