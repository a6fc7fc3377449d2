// Waiting for a store that is away, for every call of Run.* that needs it: a run never fails for a store that comes back.
import { Effect, Schedule } from "effect"
import { RunError, StoreUnavailable } from "../../run/RunError.ts"
import type { LiveRun } from "./liveRun.ts"

const isAway = (error: unknown) =>
  error instanceof StoreUnavailable || (error instanceof RunError && error.reason instanceof StoreUnavailable)

const firstPause = "100 millis"

/** Every 200 milliseconds at first, and every 5 seconds when it takes long. */
const again = Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("5 seconds")])

/**
 * Asks again until the store answers. The run may be taken by another node meanwhile, which interrupts it here. A schedule
 * costs as much as a short run, so it is made only once the store was away.
 */
export const untilStored = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.catchIf(
    effect,
    isAway,
    () => Effect.delay(Effect.retry(effect, { while: isAway, schedule: again }), firstPause)
  )

/** A durable run whose node goes away resumes elsewhere instead of failing with the refusal of new work. */
export const orDrained = <A, R>(live: LiveRun, effect: Effect.Effect<A, RunError, R>): Effect.Effect<A, RunError, R> =>
  Effect.catchIf(
    effect,
    ({ reason }) => reason._tag === "ShuttingDown" && live.run.durable,
    () => Effect.andThen(Effect.sync(() => live.halt({ _tag: "Drained" })), Effect.interrupt)
  )
