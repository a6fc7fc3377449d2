// Bounds the audit entries about repeated refusals; the door records refusals through it. No refusal goes uncounted.
import { Effect, type Scope } from "effect"
import type { Audit, Entry } from "../../audit/Audit.ts"

/** The window in which equal refusals are counted together, and how many of them get an entry each. */
const windowMillis = 60_000
const oneByOne = 20

/** The largest number of kinds of refusals that are counted at a time. */
const memory = 10_000

interface Counted {
  readonly until: number
  written: number
  /** Those that were not written: how many, and the last of them. */
  more: number
  last: Entry
}

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
  const counted = new Map<string, Counted>()
  let unknown = 0

  const close = (key: string, { last, more }: Counted) => {
    counted.delete(key)
    return more === 0 ? Effect.void : audit.record({ ...last, count: more })
  }

  const sweep = (until: number) =>
    Effect.suspend(() => {
      const finished = [...counted].filter(([, one]) => one.until <= until)
      return Effect.forEach(finished, ([key, one]) => close(key, one), { discard: true, concurrency: "unbounded" })
    })

  const tell = Effect.suspend(() => {
    const calls = unknown
    unknown = 0
    return calls === 0
      ? Effect.void
      : Effect.annotateLogs(Effect.logWarning("Calls without valid credentials were refused"), { calls })
  })

  yield* Effect.addFinalizer(() => Effect.ignoreCause(sweep(Infinity)))
  yield* Effect.andThen(tell, Effect.suspend(() => sweep(now()))).pipe(
    Effect.catchCause((cause) => Effect.logError("The audit log misses a count of refusals", cause)),
    Effect.uninterruptible,
    Effect.delay(windowMillis / 2),
    Effect.forever,
    Effect.forkScoped
  )

  const record = (entry: Entry) =>
    Effect.suspend(() => {
      const { action, decision, principal, rule, target, tenant } = entry
      const key = JSON.stringify([tenant, principal, action, target, decision, rule])
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

  const oldest = () => {
    const [first] = counted
    return counted.size < memory || first === undefined ? Effect.void : close(...first)
  }

  return { record, unknown: () => void unknown++ }
})
