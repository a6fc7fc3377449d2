import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { Effect } from "effect"

/** Names an operation, and says of it whatever it fails with. */
export type Unavailable = (
  operation: string
) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, StoreUnavailable, R>

export const unavailable: Unavailable = (operation) => (effect) =>
  Effect.mapError(
    effect,
    (cause) => cause instanceof StoreUnavailable ? cause : new StoreUnavailable({ operation, cause })
  )
