// Measures the time that a hook takes for its own work; dispatch uses it. It stands still while the wrapped call runs.
import { Clock, Effect } from "effect"
import { HandlerClock } from "../../base/internal/handlerClock.ts"

/** The failure of a hook whose time is up. */
export class TookTooLong extends Error {}

/**
 * The time that a hook takes for its own work. It stands still while anything that the hook stands around is running.
 */
export class HookTimer {
  private readonly clock: Clock.Clock
  private readonly limitMillis: number
  private spent = 0
  private since: number
  private outside = 0
  private back: (() => void) | undefined

  constructor(clock: Clock.Clock, limitMillis: number) {
    this.clock = clock
    this.limitMillis = limitMillis
    this.since = clock.currentTimeMillisUnsafe()
  }

  /** The hook waits for something that is not its own. */
  pause() {
    if (this.outside++ === 0) this.spent += this.clock.currentTimeMillisUnsafe() - this.since
  }

  resume() {
    if (--this.outside > 0) return
    this.since = this.clock.currentTimeMillisUnsafe()
    this.back?.()
  }

  /** The hook's own work sees the real time: a replay does not repeat it. */
  ofHook<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const { clock } = this
    return clock instanceof HandlerClock ? Effect.provideService(effect, Clock.Clock, clock.real) : effect
  }

  /** The wrapped call sees the time that it would see without the hook. */
  outsideOf<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const { clock } = this
    return clock instanceof HandlerClock ? Effect.provideService(effect, Clock.Clock, clock) : effect
  }

  /** Runs a part of the hook; when its time is up first, it is stopped and dies of it. */
  readonly within = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Number.isFinite(this.limitMillis)
      ? Effect.raceFirst(effect, Effect.andThen(this.expired, tookTooLong))
      : effect

  private readonly expired: Effect.Effect<void> = Effect.suspend(() => {
    if (this.outside > 0) {
      return Effect.andThen(
        Effect.callback<void>((resume) => {
          this.back = () => resume(Effect.void)
        }),
        this.expired
      )
    }
    const left = this.limitMillis - this.spent - (this.clock.currentTimeMillisUnsafe() - this.since)
    return left <= 0 ? Effect.void : Effect.andThen(Effect.sleep(left), this.expired)
  })
}

/** Made only when it is needed: an error costs its stack. */
const tookTooLong = Effect.suspend(() => Effect.die(new TookTooLong("its time was up")))

/** Starts to count, on the clock of the fiber. */
export const counting = <A, E, R>(limitMillis: number, use: (time: HookTimer) => Effect.Effect<A, E, R>) =>
  Clock.clockWith((clock) => use(new HookTimer(clock, limitMillis)))
