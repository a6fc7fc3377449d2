// Reads what the earlier attempts of a run left behind, for the attempt that resumes it. The supervisor reads it only once
// the run is claimed: until then its owner before could still commit.
import { Effect, type Schema } from "effect"
import type { RunEvent } from "../../run/Event.ts"
import type { Interrupt } from "../../run/Interrupt.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { ReadError, RunStore } from "../../store/RunStore.ts"
import { type EarlierWords, earlierWords } from "./earlierWords.ts"
import { orderOf, outcomeOf } from "./outcome.ts"

/** The recorded history of earlier attempts. */
export interface History {
  readonly steps: ReadonlyMap<string, Schema.Json>
  readonly interrupts: ReadonlyMap<string, Interrupt>
  /** Whether the names of its branches were kept apart; earlier versions did not. */
  readonly places: boolean
  /** The words that earlier attempts said, by place. */
  readonly words?: ReadonlyMap<string, EarlierWords>
  /** When the questions were asked: the numbers of their events, by id. */
  readonly asked?: ReadonlyMap<string, number>
  /** The recorded outcomes in the order of their commits. */
  readonly order?: ReadonlyMap<string, number>
}

export const noHistory: History = { places: true, steps: new Map(), interrupts: new Map() }

/** How many events are read in one go. */
const pageSize = 2_048

export const readHistory = Effect.fnUntraced(function*(
  store: RunStore["Service"],
  { runId }: RunRecord
): Effect.fn.Return<History, ReadError> {
  const [steps, interrupts, events] = yield* Effect.all([
    store.steps(runId),
    store.interrupts(runId),
    eventsOf(store, runId)
  ])
  const places = hasPlaces(events)
  const finished = new Set(steps.filter(({ value }) => outcomeOf(value)._tag !== "Forgotten").map(({ name }) => name))
  return {
    places,
    steps: new Map(steps.map((step) => [step.name, step.value])),
    order: orderOf(steps),
    asked: askedIn(events),
    interrupts: new Map(interrupts.map((interrupt) => [interrupt.name, interrupt])),
    ...(places ? { words: earlierWords(events, finished) } : {})
  }
})

const askedIn = (events: ReadonlyArray<RunEvent>) => {
  const asked = new Map<string, number>()
  for (const event of events) {
    if (event.type === "interrupt" && event.place === undefined) asked.set(event.data.id, event.seq)
  }
  return asked
}

/** Whether a run was recorded with the names of its branches kept apart; earlier versions did not. */
export const hasPlaces = ([first]: ReadonlyArray<RunEvent>): boolean =>
  first === undefined || ((first.type === "run_started" || first.type === "run_queued") && first.data.places === true)

const eventsOf = Effect.fnUntraced(function*(store: RunStore["Service"], runId: string) {
  const events: Array<RunEvent> = []
  while (true) {
    const page = yield* store.events(runId, events.at(-1)?.seq ?? 0, pageSize)
    if (page.length === 0) return events
    for (const event of page) events.push(event)
  }
})
