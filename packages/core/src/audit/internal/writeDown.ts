import { Effect } from "effect"
import type { Audit, Entry } from "../Audit.ts"

/** Writes down what has been done: a trail that cannot be written must not tell the caller otherwise, or hold up what follows. */
export const writeDown = (trail: Pick<Audit["Service"], "record">, entry: Entry): Effect.Effect<void> =>
  Effect.catchCause(trail.record(entry), (cause) => {
    const { action, decision, target } = entry
    return Effect.annotateLogs(Effect.logError("The audit trail misses an entry", cause), { action, target, decision })
  })
