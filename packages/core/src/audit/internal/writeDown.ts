// Records an action after it is done; segment.ts and the door call it. It never fails and never delays its caller.
import { Effect } from "effect"
import type { Audit, Entry } from "../Audit.ts"

/** Records an action that is done: a failing audit log must neither change the caller's answer nor delay later work. */
export const writeDown = (audit: Pick<Audit["Service"], "record">, entry: Entry): Effect.Effect<void> =>
  Effect.catchCause(audit.record(entry), (cause) => {
    const { action, decision, target } = entry
    return Effect.annotateLogs(Effect.logError("The audit log misses an entry", cause), { action, target, decision })
  })
