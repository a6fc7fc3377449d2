// When the background loop looks again for runs that are due: each second, and at once when this node knows of one.
import { Effect, Latch } from "effect"
import * as Timings from "../../base/Timings.ts"

const intervalMillis = Timings.pollMillis

export class PollLatch {
  private readonly latch = Latch.makeUnsafe(false)
  private readonly now: () => number

  constructor(now: () => number) {
    this.now = now
  }

  /** Ends the wait at this time, if it is near; a later time is found by the regular look. */
  at(time: number): Effect.Effect<void> {
    const wait = time - this.now()
    if (wait <= 0) return Effect.sync(() => this.latch.openUnsafe())
    return wait > intervalMillis ? Effect.void : Effect.asVoid(Effect.forkDetach(Effect.delay(this.latch.open, wait)))
  }

  readonly wait: Effect.Effect<void> = Effect.suspend(() =>
    Effect.andThen(
      Effect.timeoutOption(this.latch.await, intervalMillis),
      Effect.sync(() => this.latch.closeUnsafe())
    )
  )
}
