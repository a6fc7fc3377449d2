// Computes which limits apply to a run or a caller, and their periods; the budget service asks it. It is pure.
import type { Principal } from "../../run/Principal.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { Limit, Subject } from "../Budget.ts"
import type { Bound } from "../BudgetStore.ts"
import { toMicros } from "./money.ts"

/** A limit as it holds for one call: for this subject, in this period. */
export interface Held {
  readonly limit: Limit
  readonly key: string
}

export const dayOf = (now: number) => new Date(now).toISOString().slice(0, 10)

const periodOf = ({ period }: Limit, now: number): string => {
  switch (period) {
    case "day":
      return dayOf(now)
    case "month":
      return dayOf(now).slice(0, 7)
    case "total":
      return ""
  }
}

type Names = (subject: Subject) => ReadonlyArray<string> | undefined

const keyOf = (claims: Principal["claims"]) => typeof claims["key"] === "string" ? [claims["key"]] : undefined

const ofRun = (run: RunRecord): Names => (subject) => {
  switch (subject) {
    case "run":
      return [run.runId]
    case "tree":
      return [run.rootRunId ?? run.runId]
    case "user":
      return [run.tenant, run.owner]
    case "tenant":
      return [run.tenant]
    case "agent":
      return [run.agent]
    case "key":
      return keyOf(run.grants.claims)
    case "app":
      return []
  }
}

const ofPrincipal = (principal: Principal): Names => (subject) => {
  switch (subject) {
    case "user":
      return [principal.tenant, principal.id]
    case "tenant":
      return [principal.tenant]
    case "key":
      return keyOf(principal.claims)
    case "app":
      return []
    default:
      return undefined
  }
}

const hold = (limits: ReadonlyArray<Limit>, names: Names, now: number): ReadonlyArray<Held> =>
  limits.flatMap((limit) => {
    const subjects = [limit.per].flat().map((subject) => ({ subject, names: names(subject) }))
    if (subjects.some(({ names }) => names === undefined)) return []
    return [{ limit, key: JSON.stringify([limit.name, periodOf(limit, now), ...subjects.flatMap(Object.values)]) }]
  })

/** The limits that hold for a run. */
export const limitsForRun = (limits: ReadonlyArray<Limit>, run: RunRecord, now: number) => hold(limits, ofRun(run), now)

/** The limits of one caller, for whatever they start. Limits shared by all callers are left out. */
export const limitsForPrincipal = (limits: ReadonlyArray<Limit>, principal: Principal, now: number) =>
  hold(limits, ofPrincipal(principal), now).filter(({ limit }) => ![limit.per].flat().every((one) => one === "app"))

/** `raises` is how often somebody has approved to spend it once more. */
export const boundOf = ({ key, limit }: Held, raises: number, soft: boolean): Bound => ({
  key,
  hard: toMicros(limit.hard) * (1 + raises),
  ...(soft && limit.soft !== undefined ? { soft: toMicros(limit.soft) } : {})
})
