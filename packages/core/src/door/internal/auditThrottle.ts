// Bounds the audit entries about repeated refusals; the door records refusals through it. No refusal goes uncounted.
import { Effect, type Scope } from "effect"
import type { Audit, Entry } from "../../audit/Audit.ts"
import { makeAuditRepeats } from "./auditRepeats.ts"

/** The window in which equal refusals are counted together, and how many of them get an entry each. */
const windowMillis = 60_000
const oneByOne = 20

export interface AuditThrottle {
  /** Writes an entry of a refusal, or counts it when there were many that say the same. */
  readonly record: (entry: Entry) => Effect.Effect<void>
  /** Counts a refusal of an unknown caller, and reports it in the log. */
  readonly unknown: () => void
}

/**
 * A refused caller can repeat the call at will, so the audit log takes a bounded number of entries about it: for each
 * principal, action, target and rule so many entries in a window, and at its end one with the count of all others.
 */
export const makeAuditThrottle = Effect.fnUntraced(function*(
  audit: Pick<Audit["Service"], "record">,
  now: () => number
): Effect.fn.Return<AuditThrottle, never, Scope.Scope> {
  let unknown = 0

  const report = Effect.suspend(() => {
    const calls = unknown
    unknown = 0
    return calls === 0
      ? Effect.void
      : Effect.annotateLogs(Effect.logWarning("Calls without valid credentials were refused"), { calls })
  })
  yield* report.pipe(Effect.delay(windowMillis / 2), Effect.forever, Effect.forkScoped)

  const fields = ["action", "target", "decision", "rule"] as const
  const record = yield* makeAuditRepeats({ audit, now, windowMillis, oneByOne, fields })
  return { record, unknown: () => void unknown++ }
})
