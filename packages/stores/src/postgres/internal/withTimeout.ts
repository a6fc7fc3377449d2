// The time limit of every operation on PostgreSQL.
import * as Timings from "@fastagentic/core/base/Timings"
import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { Effect } from "effect"
import { type Unavailable, unavailable } from "../../sql/unavailable.ts"

/** Fails an operation without an answer after 30 seconds, because a network can drop a server silently. */
export const withTimeout =
  (operation: string) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreUnavailable, R> =>
    Effect.timeoutOrElse(effect, {
      duration: Timings.storeRequestMillis,
      orElse: () => Effect.fail(new StoreUnavailable({ operation: `${operation}: no answer` }))
    })

export const answered: Unavailable = (operation) => (effect) => unavailable(operation)(withTimeout(operation)(effect))
