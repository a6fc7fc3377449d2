// Ways to make a RunError, used by every service of the core that answers a caller.
import { Effect } from "effect"
import { type Reason, RunError, RunNotFound } from "../RunError.ts"

export const asRunError = <A, R>(effect: Effect.Effect<A, Reason, R>): Effect.Effect<A, RunError, R> =>
  Effect.mapError(effect, (reason) => new RunError({ reason }))

export const notFound = (runId: string) => new RunError({ reason: new RunNotFound({ runId }) })
