// The clock of a handler in a place outside of steps: times that it reads as effects are given by `read`, which records them.
// LiveRun provides it; hooks see the real one behind it. What sleeps, schedules and spans measure is always the real time.
import { type Clock, Effect } from "effect"

export type TimeKind = "millis" | "nanos" | "monotonic" | "random"

/** Gives the next time of a place: the recorded one, or the present one. */
export type Read = (kind: TimeKind, place: string, present: () => string) => Effect.Effect<string>

/** Gives the next random text of a place: the recorded one, or one that is drawn. */
export type Draw = (place: string, draw: Effect.Effect<string>) => Effect.Effect<string>

export class HandlerClock implements Clock.Clock {
  readonly real: Clock.Clock
  private readonly place: string
  private readonly read: Read
  private readonly draw: Draw
  private readonly sleeping: (sleep: Effect.Effect<void>) => Effect.Effect<void>

  constructor(
    real: Clock.Clock,
    place: string,
    outcomes: {
      readonly readTime: Read
      readonly drawRandom: Draw
      readonly sleep: (sleep: Effect.Effect<void>) => Effect.Effect<void>
    }
  ) {
    this.real = real
    this.place = place
    this.read = outcomes.readTime
    this.draw = outcomes.drawRandom
    this.sleeping = outcomes.sleep
  }

  /** A text that is drawn once in this place, and the same on a replay. */
  recorded(draw: Effect.Effect<string>): Effect.Effect<string> {
    return this.draw(this.place, draw)
  }

  get currentTimeMillis(): Effect.Effect<number> {
    return Effect.map(
      this.read("millis", this.place, () => String(this.real.currentTimeMillisUnsafe())),
      Number
    )
  }

  get currentTimeNanos(): Effect.Effect<bigint> {
    return Effect.map(this.read("nanos", this.place, () => String(this.real.currentTimeNanosUnsafe())), BigInt)
  }

  get monotonicTimeNanos(): Effect.Effect<bigint> {
    return Effect.map(this.read("monotonic", this.place, () => String(this.real.monotonicTimeNanosUnsafe())), BigInt)
  }

  currentTimeMillisUnsafe() {
    return this.real.currentTimeMillisUnsafe()
  }

  currentTimeNanosUnsafe() {
    return this.real.currentTimeNanosUnsafe()
  }

  monotonicTimeNanosUnsafe() {
    return this.real.monotonicTimeNanosUnsafe()
  }

  sleep(duration: Parameters<Clock.Clock["sleep"]>[0]) {
    return this.sleeping(this.real.sleep(duration))
  }
}
