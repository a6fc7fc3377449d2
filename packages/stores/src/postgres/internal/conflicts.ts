// The retry policy of conflicting transactions; all PostgreSQL stores use it.
import { Effect, Schedule } from "effect"
import type { SqlError } from "effect/sql/SqlError"

/** Whether nothing was committed and a retry can succeed. */
const isConflict = ({ reason: { _tag } }: SqlError) =>
  _tag === "DeadlockError" || _tag === "SerializationError" || _tag === "LockTimeoutError"

/** The delays between retries of conflicting transactions. */
export const again = Schedule.min([Schedule.exponential("5 millis"), Schedule.spaced("200 millis")]).pipe(
  Schedule.jittered
)

/** `Effect.retry` of a write that hardly ever fails: nothing is made for it before it has failed. */
export const retryAfterFailure = <A, E, R>(
  write: Effect.Effect<A, E, R>,
  options: { readonly while: (error: E) => boolean; readonly schedule: typeof again; readonly times: number }
): Effect.Effect<A, E, R> =>
  Effect.catchIf(write, options.while, (error) => {
    let hasFailed = false
    const next = Effect.suspend((): Effect.Effect<A, E, R> => {
      if (hasFailed) return write
      hasFailed = true
      return Effect.fail(error)
    })
    return Effect.retry(next, options)
  })

/** The options of a retry for a write that meets a conflict. */
export const conflicts = { while: isConflict, schedule: again, times: 20 }
