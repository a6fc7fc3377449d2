// Reads what the earlier attempts of a run left behind, for the attempt that resumes it. The supervisor reads it only once
// the run is claimed: until then its owner before could still commit.
import { Effect } from "effect"
import type { RunEvent } from "../../run/Event.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { ReadError, RunStore } from "../../store/RunStore.ts"
import { earlierWords } from "./earlierWords.ts"
import type { Past } from "./liveRun.ts"
import { orderOf, outcomeOf } from "./outcome.ts"

/** How many events are read in one go. */
const pageSize = 2_048

export const readPast = Effect.fnUntraced(function*(
  store: RunStore["Service"],
  { runId }: RunRecord
): Effect.fn.Return<Past, ReadError> {
  const [steps, interrupts, events] = yield* Effect.all([
    store.steps(runId),
    store.interrupts(runId),
    eventsOf(store, runId)
  ])
  const places = hasPlaces(events)
  const over = new Set(steps.filter(({ value }) => outcomeOf(value)._tag !== "Forgotten").map(({ name }) => name))
  return {
    places,
    steps: new Map(steps.map((step) => [step.name, step.value])),
    order: orderOf(steps),
    interrupts: new Map(interrupts.map((interrupt) => [interrupt.name, interrupt])),
    ...(places ? { words: earlierWords(events, over) } : {})
  }
})

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
