// The tokens of a model: they come back evenly over a minute. Calls take them in the order in which they asked.
import { Clock, Effect, Semaphore } from "effect"

export class TokenBucket {
  private readonly perMinute: number
  private readonly line = Semaphore.makeUnsafe(1)
  private left: number
  private at: number | undefined

  constructor(perMinute: number) {
    this.perMinute = perMinute
    this.left = perMinute
  }

  /** Waits until so many tokens are there and takes them; a larger call takes all of them. */
  take(tokens: number): Effect.Effect<void> {
    const wanted = Math.min(tokens, this.perMinute)
    const attempt: Effect.Effect<void> = Effect.flatMap(this.refilled, () => {
      if (this.left >= wanted) {
        this.left -= wanted
        return Effect.void
      }
      return Effect.andThen(Effect.sleep((wanted - this.left) * 60_000 / this.perMinute), attempt)
    })
    return this.line.withPermit(attempt)
  }

  /** Replaces an estimate by what was used; a debt is paid by the calls that follow. */
  correct(estimate: number, used: number): Effect.Effect<void> {
    return Effect.map(this.refilled, () => {
      this.left += Math.min(estimate, this.perMinute) - used
    })
  }

  private readonly refilled = Effect.map(Clock.currentTimeMillis, (now) => {
    if (this.at !== undefined) {
      this.left = Math.min(this.perMinute, this.left + (now - this.at) * this.perMinute / 60_000)
    }
    this.at = now
  })
}
