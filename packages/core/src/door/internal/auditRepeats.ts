// Bounds audit entries that say the same again and again; the throttle of refusals and the reads of others' runs use it. Of
// equal entries the first ones of a window are written, and at its end one more with the count of all others.
import { Effect, type Scope } from "effect"
import type { Audit, Entry } from "../../audit/Audit.ts"

/** The largest number of kinds of entries that are counted at a time. */
const memory = 10_000

interface Counted {
  readonly until: number
  written: number
  /** Those that were not written: how many, and the last of them. */
  more: number
  last: Entry
}

export interface RepeatOptions {
  readonly audit: Pick<Audit["Service"], "record">
  readonly now: () => number
  readonly windowMillis: number
  /** How many equal entries of a window are written one by one. */
  readonly oneByOne: number
  /** The fields in which equal entries agree, beside tenant and principal. */
  readonly fields: ReadonlyArray<"action" | "target" | "decision" | "rule" | "reason" | "onBehalfOf">
}

/** Writes an entry, or counts it when there were many that say the same. */
export const makeAuditRepeats = Effect.fnUntraced(function*(
  { audit, fields, now, oneByOne, windowMillis }: RepeatOptions
): Effect.fn.Return<(entry: Entry) => Effect.Effect<void>, never, Scope.Scope> {
  const counted = new Map<string, Counted>()

  const close = (key: string, { last, more }: Counted) => {
    counted.delete(key)
    return more === 0 ? Effect.void : audit.record({ ...last, count: more })
  }

  const sweep = (until: number) =>
    Effect.suspend(() => {
      const finished = [...counted].filter(([, one]) => one.until <= until)
      return Effect.forEach(finished, ([key, one]) => close(key, one), { discard: true, concurrency: "unbounded" })
    })

  yield* Effect.addFinalizer(() => Effect.ignoreCause(sweep(Infinity)))
  yield* Effect.suspend(() => sweep(now())).pipe(
    Effect.catchCause((cause) => Effect.logError("The audit log misses a count of repeated entries", cause)),
    Effect.uninterruptible,
    Effect.delay(windowMillis / 2),
    Effect.forever,
    Effect.forkScoped
  )

  const oldest = () => {
    const [first] = counted
    return counted.size < memory || first === undefined ? Effect.void : close(...first)
  }

  return (entry) =>
    Effect.suspend(() => {
      const key = JSON.stringify([entry.tenant, entry.principal, ...fields.map((field) => entry[field])])
      const known = counted.get(key)
      if (known !== undefined && known.until > entry.at) {
        if (known.written === oneByOne) {
          known.more++
          known.last = entry
          return Effect.void
        }
        known.written++
        return audit.record(entry)
      }
      const before = known === undefined ? oldest() : close(key, known)
      counted.set(key, { until: entry.at + windowMillis, written: 1, more: 0, last: entry })
      return Effect.andThen(before, audit.record(entry))
    })
})
