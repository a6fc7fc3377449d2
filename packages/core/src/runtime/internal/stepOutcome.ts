// The outcome of a step on its way into a commit and out of a replay: shared by steps, side effects and delegations.
import { type Cause, Effect, type Schema } from "effect"
import { isAbove, readBackInSlices, sliceLimit, toLines } from "../../base/internal/jsonSlices.ts"
import { readBack, Unstorable } from "../../base/internal/readBack.ts"
import * as Event from "../../run/Event.ts"
import { NotStorable } from "../../run/RunError.ts"
import type { LiveRun } from "./liveRun.ts"
import { type Place, separator } from "./names.ts"
import { type Outcome, revive, valueRow } from "./outcome.ts"
import type { Parts } from "./runWrites.ts"

/** The outcome of an earlier attempt: its value, its failure, or nothing ever when the handler had given it up. */
export const replayed = <E>(
  live: LiveRun,
  place: Place,
  key: string,
  outcome: Outcome
): Effect.Effect<Schema.Json, E> => {
  switch (outcome._tag) {
    case "Value":
      return live.outcomes.handOut("step", place, key, Effect.succeed(outcome.value))
    case "Failed":
      return Effect.flatMap(
        live.outcomes.handOut("step", place, key, revive(live.errors, outcome.failure)),
        (cause) => {
          live.outcomes.seen(key, cause)
          // cast: the failure of this step is what it has failed with before.
          return Effect.failCause(cause as Cause.Cause<E>)
        }
      )
    default:
      return Effect.never
  }
}

/** Goes on with the value as a replay would give it. */
export const withStorable = <A, E, R>(
  key: string,
  value: Schema.Json,
  use: (back: Schema.Json) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  const given = (back: unknown) =>
    back instanceof Unstorable
      ? Effect.die(new NotStorable({ step: key, path: back.path, found: back.found }))
      // cast: `readBack` gives JSON.
      : use(back as Schema.Json)
  return isAbove(value, sliceLimit) ? Effect.flatMap(readBackInSlices(value), given) : given(readBack(value))
}

/** Goes on with how long the JSON of a value is; of a large one about, in slices. */
export const withLength = <A, E, R>(
  value: Schema.Json,
  use: (length: number) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  if (!isAbove(value, sliceLimit)) return use(JSON.stringify(value).length)
  let length = 0
  return Effect.flatMap(toLines(value, (line) => length += line.length - 1), () => use(length))
}

/**
 * A step to be committed, which shows that the run can be driven. Each has an event at least: its number says from where
 * the run could be forked.
 */
export const stepped = (
  live: LiveRun,
  name: string,
  value: Schema.Json,
  recorded: ReadonlyArray<Event.Event> = [],
  bytes?: number
): Parts => {
  const unsaid = live.words.unsaid(name + separator, name)
  const own = recorded.length > 0 || !live.run.durable
    ? recorded
    : [checkpointOf(name, bytes ?? JSON.stringify(value).length)]
  const events = unsaid.length === 0 ? own : [...unsaid, ...own]
  const steps = [{ name, value: valueRow(value) }]
  return live.run.crashes === 0 ? { events, steps } : { events, steps, set: { crashes: 0 } }
}

export const checkpointOf = (checkpointId: string, bytes: number) =>
  Event.make("checkpoint", { checkpointId, format: "step", bytes })
