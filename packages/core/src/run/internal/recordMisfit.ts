// A recorded value that the present definition cannot read: Run.ts dies with it, and the runtime holds the run for repair
// (repair.ts) instead of failing it. The message names no values, because readers of logs may not see them.
import { Effect, type Schema } from "effect"
import { problemsOf } from "../../base/Validation.ts"
import type { Resolution } from "../Interrupt.ts"

export class RecordMisfit extends Error {
  override readonly name = "RecordMisfit"
}

/** Dies when a recorded value does not fit any more. */
export const orMisfit =
  (what: string) => <A, R>(effect: Effect.Effect<A, Schema.SchemaError, R>): Effect.Effect<A, never, R> =>
    Effect.catch(effect, (error) => {
      const places = problemsOf(error).map(({ path }) => path.join(".") || "the value")
      return Effect.die(
        new RecordMisfit(`the recorded ${what} does not fit its schema any more (${[...new Set(places)].join(", ")})`)
      )
    })

const answered = new WeakSet<Resolution>()

/** Notes that a question had another schema when it was asked: then its answer may not fit. */
export const noteChanged = (resolution: Resolution): Resolution => {
  answered.add(resolution)
  return resolution
}

/** Whether an answer was given to a question with another schema. */
export const isChanged = (resolution: Resolution): boolean => answered.has(resolution)
