// Counts a call against every rate limit that applies; the door calls it. A refused call takes nothing from any rule.
import { Duration, Effect } from "effect"
import { type Fusion, FusionError } from "../../app/Fusion.ts"
import type { Principal } from "../../run/Principal.ts"
import { RateLimited, type StoreUnavailable } from "../../run/RunError.ts"
import type { Caller } from "../Caller.ts"
import type { Counter, RateCounters, Taken } from "../RateCounters.ts"
import type { Dimension, LimitUsage, Rule } from "../RateLimit.ts"

/** Takes a call from every rule that applies, or says which one refuses it. */
export type Limiter = (
  principal: Principal,
  target: string,
  caller: Caller
) => Effect.Effect<void, RateLimited | StoreUnavailable>

interface Limit {
  readonly rule: Rule
  readonly windowMillis: number
  readonly algorithm: Counter["algorithm"]
}

/** Rejects invalid rules at start; an invalid rule would silently limit nothing. */
export const checkRules = Effect.fnUntraced(function*(rules: ReadonlyArray<Rule>, fusion: Fusion) {
  const endpoints = endpointsOf(fusion)
  const names = new Set<string>()
  for (const rule of rules) {
    const twice = names.has(rule.name) ? "two rules have this name" : undefined
    const problem = twice ?? problemOf(rule, endpoints)
    if (problem !== undefined) {
      return yield* new FusionError({ declaration: `rate limit "${rule.name}"`, problem })
    }
    names.add(rule.name)
  }
})

const endpointsOf = ({ agents, prompts, resources, tools }: Fusion): ReadonlyArray<string> =>
  Object.entries({ agent: agents, tool: tools, resource: resources, prompt: prompts }).flatMap(([kind, table]) =>
    Array.from(table.keys(), (identifier) => `${kind}/${identifier}`)
  )

const problemOf = ({ endpoints = [], limit, name, window }: Rule, known: ReadonlyArray<string>): string | undefined => {
  if (!/^[A-Za-z0-9_.:/-]{1,64}$/u.test(name)) return "a name is 1 to 64 of A-Z a-z 0-9 _ . : / -"
  if (!Number.isSafeInteger(limit) || limit < 1) return "a limit is a whole number from 1 on"
  const millis = Duration.toMillis(window)
  if (!Number.isFinite(millis) || millis < 1) return "a window is finite and at least a millisecond"
  const unknown = endpoints.find((endpoint) => !known.includes(endpoint))
  return unknown === undefined ? undefined : `the app has no endpoint "${unknown}", only ${known.join(", ")}`
}

export const makeLimiter = (rules: ReadonlyArray<Rule>, counters: RateCounters["Service"]): Limiter => {
  const limits = rules.map((rule): Limit => ({
    rule,
    windowMillis: Duration.toMillis(rule.window),
    algorithm: rule.algorithm ?? "fixed-window"
  }))
  if (limits.length === 0) return () => Effect.void

  return (principal, target, caller) => {
    const applying = limits.filter(({ rule }) => applies(rule, principal, target, caller))
    if (applying.length === 0) return Effect.void
    return Effect.flatMap(
      counters.take(applying.map((limit) => counterOf(limit, principal, target, caller))),
      (taken) => {
        caller.onLimits?.(applying.map((limit, index) => standingOf(limit, taken[index])))
        const refusal = refusalOf(applying, taken)
        return refusal === undefined ? Effect.void : Effect.fail(refusal)
      }
    )
  }
}

const applies = (rule: Rule, principal: Principal, target: string, caller: Caller) =>
  (rule.endpoints?.includes(target) ?? true) &&
  (rule.protocols?.includes(caller.protocol) ?? true) &&
  (rule.tenants?.includes(principal.tenant) ?? true)

/** A rule whose window or algorithm changes starts at zero, because the old count has another meaning. */
const counterOf = (
  { algorithm, rule, windowMillis }: Limit,
  principal: Principal,
  target: string,
  caller: Caller
): Counter => {
  const by = (dimension: Dimension, value: string) => rule.by.includes(dimension) ? value : null
  const tenant = rule.by.includes("user") ? principal.tenant : by("tenant", principal.tenant)
  const whose = [tenant, by("user", principal.id), by("endpoint", target), by("protocol", caller.protocol)]
  return {
    key: JSON.stringify([rule.name, algorithm, windowMillis, ...whose]),
    limit: rule.limit,
    windowMillis,
    algorithm
  }
}

const standingOf = ({ rule: { limit, name }, windowMillis }: Limit, taken: Taken | undefined): LimitUsage => ({
  rule: name,
  limit,
  windowMillis,
  // A bucket gives fractions back, of which only whole calls can be made.
  remaining: Math.max(0, Math.floor(limit - (taken?.used ?? 0) + 1e-6)),
  resetMillis: Math.ceil(taken?.resetMillis ?? 0)
})

/** The limit that refuses for longest: a caller that waits for it has waited for the others. */
const refusalOf = (applying: ReadonlyArray<Limit>, taken: ReadonlyArray<Taken>): RateLimited | undefined => {
  let longest: RateLimited | undefined
  for (const [index, limit] of applying.entries()) {
    const one = taken[index]
    if (one === undefined || one.allowed) continue
    const retryAfterMillis = Math.max(1, Math.ceil(waitOf(limit, one)))
    if (longest !== undefined && longest.retryAfterMillis >= retryAfterMillis) continue
    const { rule: { limit: calls, name: rule }, windowMillis } = limit
    longest = new RateLimited({ rule, limit: calls, windowMillis: Math.ceil(windowMillis), retryAfterMillis })
  }
  return longest
}

const waitOf = ({ algorithm, rule: { limit }, windowMillis }: Limit, { resetMillis, used }: Taken) =>
  algorithm === "fixed-window" ? resetMillis : (used + 1 - limit) * windowMillis / limit
