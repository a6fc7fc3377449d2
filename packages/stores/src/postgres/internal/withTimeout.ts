import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { Effect } from "effect"
import { type Unavailable, unavailable } from "../../sql/unavailable.ts"

/** A network can lose a server without a word. */
export const withTimeout =
  (operation: string) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreUnavailable, R> =>
    Effect.timeoutOrElse(effect, {
      duration: "30 seconds",
      orElse: () => Effect.fail(new StoreUnavailable({ operation: `${operation}: no answer` }))
    })

export const answered: Unavailable = (operation) => (effect) => unavailable(operation)(withTimeout(operation)(effect))
