/**
 * The time for measurements of the runtime and of adapters, which no replay repeats.
 *
 * @since 0.1.0
 */
import { Clock, Effect } from "effect"

/**
 * The real time, also outside of steps, where a handler that reads `Clock` gets what its first attempt read.
 *
 * @category accessors
 * @since 0.1.0
 */
export const millis: Effect.Effect<number> = Clock.clockWith((clock) =>
  Effect.sync(() => clock.currentTimeMillisUnsafe())
)
