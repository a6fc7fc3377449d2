import { Schedule } from "effect"
import type { SqlError } from "effect/sql/SqlError"

/** Nothing of it was committed, and it can succeed when it is tried again. */
const isConflict = ({ reason: { _tag } }: SqlError) =>
  _tag === "DeadlockError" || _tag === "SerializationError" || _tag === "LockTimeoutError"

/** When conflicting transactions are tried again. */
export const again = Schedule.min([Schedule.exponential("5 millis"), Schedule.spaced("200 millis")]).pipe(
  Schedule.jittered
)

/** For `Effect.retry`. */
export const conflicts = { while: isConflict, schedule: again, times: 20 }
