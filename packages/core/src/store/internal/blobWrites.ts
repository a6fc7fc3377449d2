// Replaces large values of a write by references to blobs; RunBlobs calls it before each commit.
import { Effect, type Schema } from "effect"
import type { Event, RunEvent } from "../../run/Event.ts"
import type { StoreUnavailable } from "../../run/RunError.ts"
import type { Admit, Changes, Commit, Step, Write } from "../RunStore.ts"
import { escape, isMarked, keyIn, type Values } from "./blobValues.ts"

/** Whether anything of a write is kept otherwise than it is. Most writes have nothing but events. */
export const concerns = ({ needs }: Values, write: Write): boolean => {
  const { output, payload } = write._tag === "Admit" ? write.run : write.set ?? {}
  return needs(payload) || needs(output) || write.steps?.some(({ value }) => needs(value)) === true ||
    write.events.some((event) => event.type === "done" && isMarked(event.data.output))
}

/** A write as the store is to have it, once its blobs are there. */
export const keepWrite = <W extends Write>(values: Values, write: W): Effect.Effect<Write, StoreUnavailable> =>
  write._tag === "Admit" ? keepAdmit(values, write) : keepCommit(values, write)

const keepAdmit = Effect.fnUntraced(function*(values: Values, write: Admit) {
  const { runId } = write.run
  const [kept, events] = yield* keepValues(values, runId, write.run, write.events)
  const admit: Admit = { ...write, run: { ...write.run, ...kept }, events }
  return write.steps === undefined ? admit : { ...admit, steps: yield* keepSteps(values, runId, write.steps) }
})

export const keepCommit = Effect.fnUntraced(function*(
  values: Values,
  write: Commit
): Effect.fn.Return<Commit, StoreUnavailable> {
  const { runId } = write
  const [kept, events] = yield* keepValues(values, runId, write.set ?? {}, write.events)
  const commit = { ...write, events, ...(write.set === undefined ? {} : { set: { ...write.set, ...kept } }) }
  return write.steps === undefined ? commit : { ...commit, steps: yield* keepSteps(values, runId, write.steps) }
})

/** The last event says the output again: it is kept once. */
const keepValues = Effect.fnUntraced(function*(
  { keep }: Values,
  runId: string,
  { output, payload }: Pick<Changes, "payload" | "output">,
  events: ReadonlyArray<Event>
) {
  const kept = {
    ...(payload === undefined ? {} : { payload: yield* keep(runId, payload) }),
    ...(output === undefined ? {} : { output: yield* keep(runId, output) })
  }
  const recorded = (said: Schema.Json) => said === output && kept.output !== undefined ? kept.output : escape(said)
  return [
    kept,
    events.map((event) =>
      event.type === "done" ? { ...event, data: { ...event.data, output: recorded(event.data.output) } } : event
    )
  ] as const
})

const keepSteps = ({ keep }: Values, runId: string, steps: ReadonlyArray<Step>) =>
  Effect.forEach(steps, (step) => Effect.map(keep(runId, step.value), (value) => ({ ...step, value })), {
    concurrency: 8
  })

/** The keys of the blobs that a kept admission needs. */
export const keysOf = (write: Write): ReadonlyArray<string> => {
  const { output, payload } = write._tag === "Admit" ? write.run : write.set ?? {}
  return [payload, output, ...(write.steps ?? []).map(({ value }) => value)].flatMap(keyIn)
}

/** Events with their numbers, and with the values that they were written with. */
export const restored = (recorded: ReadonlyArray<RunEvent>, events: ReadonlyArray<Event>): ReadonlyArray<RunEvent> =>
  recorded.map((one, index) => {
    const event = events[index]
    return one.type === "done" && event?.type === "done" ? { ...one, data: event.data } : one
  })
