// Messages as their protocols delivered them, in the journal: admissions, decisions and signals write them in their own
// commit, handlers read the first with `Run.message`, and forks take it with them.
import { Effect, type Schema } from "effect"
import type { Event, RunEvent } from "../../run/Event.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { ReadError, RunStore } from "../../store/RunStore.ts"

export const received = (by: string, message: Schema.Json): Event => ({
  type: "message_received",
  data: { by, message }
})

/** The message that a run began with: it is in the commit of its admission, after the event of that. */
export const firstMessage = (
  { events }: Pick<RunStore["Service"], "events">,
  { runId }: Pick<RunRecord, "runId">
): Effect.Effect<Schema.Json | undefined, ReadError> =>
  Effect.map(events(runId, 0, 2), (found: ReadonlyArray<RunEvent>) => {
    const second = found[1]
    return second?.type === "message_received" ? second.data.message : undefined
  })
