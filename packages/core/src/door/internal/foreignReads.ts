// Bounds the audit entries about reads of what belongs to somebody else: the door records them here. A reader who polls has one
// entry for each thing or list in a window, and at its end one more with the count of the repeats.
import { Effect, type Scope } from "effect"
import type { Audit, Entry } from "../../audit/Audit.ts"
import * as Timings from "../../base/Timings.ts"
import { makeAuditRepeats } from "./auditRepeats.ts"

export const makeForeignReads = (
  audit: Pick<Audit["Service"], "record">,
  now: () => number
): Effect.Effect<(entry: Entry) => Effect.Effect<void>, never, Scope.Scope> =>
  makeAuditRepeats({
    audit,
    now,
    windowMillis: Timings.auditReadMillis,
    oneByOne: 1,
    fields: ["target", "reason", "onBehalfOf"]
  })

/** A filter as an entry names it: the fields that were set. */
export const filterText = (filter: object): { readonly reason?: string } => {
  const named = Object.entries(filter).flatMap(([name, value]) =>
    value === undefined || (Array.isArray(value) && value.length === 0) ? [] : [`${name}=${String(value)}`]
  )
  return named.length === 0 ? {} : { reason: named.join(" ") }
}
