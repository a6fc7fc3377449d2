// The retry policy of conflicting transactions; all PostgreSQL stores use it.
import { Schedule } from "effect"
import type { SqlError } from "effect/sql/SqlError"

/** Whether nothing was committed and a retry can succeed. */
const isConflict = ({ reason: { _tag } }: SqlError) =>
  _tag === "DeadlockError" || _tag === "SerializationError" || _tag === "LockTimeoutError"

/** The delays between retries of conflicting transactions. */
export const again = Schedule.min([Schedule.exponential("5 millis"), Schedule.spaced("200 millis")]).pipe(
  Schedule.jittered
)

/** The options of `Effect.retry` for a write that meets a conflict. */
export const conflicts = { while: isConflict, schedule: again, times: 20 }
