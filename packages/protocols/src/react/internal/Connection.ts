// The calls that the hooks of a page share, a way to run them, and the news that a run has paused, continued or ended.
// `ReactClient` makes one for an app.
import { Effect, Schedule } from "effect"
import type { Runs, Threads } from "../../http/Client.ts"
import { ClientError, isTransient } from "../../http/ClientError.ts"

export interface Connection {
  readonly runs: Runs
  readonly threads: Threads
  /** Runs an effect until the returned function is called. */
  readonly fork: (effect: Effect.Effect<void>) => () => void
  readonly announce: () => void
  readonly onChange: (listener: () => void) => () => void
}

export const make = (
  calls: Pick<Connection, "runs" | "threads">,
  provide: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>
): Connection => {
  const listeners = new Set<() => void>()
  return {
    ...calls,
    fork: (effect) => {
      const fiber = Effect.runFork(provide(effect))
      return () => fiber.interruptUnsafe()
    },
    announce: () => {
      for (const listener of listeners) listener()
    },
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    }
  }
}

/** Repeats what a lost connection cut off, every two seconds; `onLost` shows it meanwhile. */
export const persist = <A, E>(effect: Effect.Effect<A, E>, onLost: (error: E) => void): Effect.Effect<A, E> =>
  effect.pipe(
    Effect.tapError((error) => Effect.sync(() => onLost(error))),
    Effect.retry({ schedule: Schedule.spaced("2 seconds"), while: isTransient })
  )

/** Whether it does not exist, or the caller may not see it: both are the same answer. */
export const isAbsent = (error: unknown): boolean =>
  error instanceof ClientError &&
  (error.reason._tag === "RunNotFound" || error.reason._tag === "ThreadNotFound")
