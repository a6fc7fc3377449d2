// Runs a step once per run: gives the stored outcome, or runs the body in a place of its own and commits what it came to.
// The service of a run (currentRun.ts) calls it; a body whose outcome is stored never runs.
import { Effect, Exit, type Schema } from "effect"
import { direct } from "../../hook/internal/dispatch.ts"
import type { OutputGuards } from "../../hook/internal/outputGuards.ts"
import type * as Event from "../../run/Event.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import type { LiveRun } from "./liveRun.ts"
import { insideStep, type Place } from "./names.ts"
import { checkpointOf, replayed, stepped, withLength, withStorable } from "./stepOutcome.ts"

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
    const { activity } = live.resting
    const once = live.enteringAs(inside, live.serviceIn(inside, within), effect, () => activity.enter(inside))
    const caughtUp = live.outcomes.caughtUp("step", place, key)
    const body = Effect.flatMap(
      caughtUp === Effect.void ? once : Effect.andThen(caughtUp, once),
      (found) =>
        withStorable(key, found, (value) => {
          const events = after?.(value) ?? none
          return within === undefined
            ? keep(live, key, value, events)
            : Effect.andThen(
              within.flush,
              Effect.flatMap(within.pass(events), (passed) => keep(live, key, value, passed))
            )
        })
    )
    return Effect.onExit(body, (exit) => {
      if (inside.isRunning) activity.leave(inside)
      return Exit.isSuccess(exit) ? Effect.void : live.outcomes.failed(key, exit.cause)
    })
  })

const none: ReadonlyArray<Event.Event> = []

/** Commits the value of a step, and gives it. */
const keep = (
  live: LiveRun,
  key: string,
  value: Schema.Json,
  passed: ReadonlyArray<Event.Event>
): Effect.Effect<Schema.Json> => {
  const recorded = passed.length === 0 ? passed : passed.map((event) => ({ ...event, place: key }))
  // Nothing is said of the size of a step that has an event of its own, unless a hook asks.
  const isMeasured = live.dispatch.checkpoint !== direct.checkpoint || (live.run.durable && passed.length === 0)
  return withLength(isMeasured ? value : null, (bytes) => {
    const parts = stepped(live, key, value, recorded, bytes)
    const commit = live.run.durable ? live.writes.commit(parts) : live.writes.post(parts)
    return Effect.as(checkpoint(live, key, bytes, commit), value)
  })
}

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
