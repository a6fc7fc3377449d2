// The error of a failed operation; every SQL store uses it.
import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { Effect } from "effect"

/** Turns every failure of a named operation into `StoreUnavailable`. */
export type Unavailable = (
  operation: string
) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, StoreUnavailable, R>

export const unavailable: Unavailable = (operation) => (effect) =>
  Effect.mapError(
    effect,
    (cause) => cause instanceof StoreUnavailable ? cause : new StoreUnavailable({ operation, cause })
  )
