// Counts the facts of an outbox that the log has not entered yet; AuditVerify reports them. Nothing is whole while one waits.
import { Effect, Option, Schema } from "effect"
import type { StoreUnavailable } from "../../run/RunError.ts"
import type { RunStore } from "../../store/RunStore.ts"
import { Entry } from "../Audit.ts"
import type { AuditLog } from "../AuditLog.ts"

/** How many facts are read at most: a log that is further behind has at least so many. */
const most = 100_000

const decodeEntry = Schema.decodeUnknownEffect(Schema.fromJsonString(Entry))

/** Facts that are in no chain: their number, and the time of the oldest. */
export interface Waiting {
  readonly count: number
  readonly oldest: number
}

export interface WaitingFacts {
  readonly tenants: ReadonlyMap<string, Waiting>
  /** How many cannot be read, of whatever tenant. */
  readonly unreadable: number
}

export const waitingIn = Effect.fnUntraced(function*(
  log: AuditLog["Service"],
  outbox: Pick<RunStore["Service"], "facts">
): Effect.fn.Return<WaitingFacts, StoreUnavailable> {
  const byTenant = new Map<string, Array<{ readonly id: string; readonly at: number }>>()
  let unreadable = 0
  for (const { at, body, id } of yield* outbox.facts({ before: Number.MAX_SAFE_INTEGER, limit: most })) {
    const entry = Option.getOrUndefined(yield* Effect.option(decodeEntry(body)))
    if (entry === undefined) {
      unreadable++
      continue
    }
    const facts = byTenant.get(entry.tenant) ?? []
    byTenant.set(entry.tenant, facts)
    facts.push({ id, at })
  }
  const tenants = new Map<string, Waiting>()
  for (const [tenant, facts] of byTenant) {
    const entered = new Set<string>()
    for (let first = 0; first < facts.length; first += 500) {
      const ids = facts.slice(first, first + 500).map(({ id }) => id)
      for (const id of yield* log.entered(tenant, ids)) entered.add(id)
    }
    const left = facts.filter(({ id }) => !entered.has(id))
    const oldest = left.reduce((first, { at }) => Math.min(first, at), Infinity)
    if (left.length > 0) tenants.set(tenant, { count: left.length, oldest })
  }
  return { tenants, unreadable }
})
