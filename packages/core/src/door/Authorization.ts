/**
 * The second stage of the door: may this principal do this.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import * as Policy from "../base/Policy.ts"
import type { Approvers } from "../run/Interrupt.ts"
import type { Principal } from "../run/Principal.ts"
import { Forbidden, RunNotFound } from "../run/RunError.ts"
import type { RunRecord } from "../run/RunRecord.ts"

/** A declaration's scopes must all be held. @category combinators @since 0.1.0 */
export const requireScopes = (principal: Principal, needed: ReadonlyArray<string>): Effect.Effect<void, Forbidden> => {
  if (needed.length === 0) return Effect.void
  const missing = needed.filter((scope) => !Policy.holds(principal.scopes, scope))
  return missing.length === 0
    ? Effect.void
    : Effect.fail(new Forbidden({ rule: "scopes", missing, ...neededBeside(missing, needed) }))
}

/** A caller that holds some of the scopes learns all of them, because its next token may hold no others. */
const neededBeside = (missing: ReadonlyArray<string>, needed: ReadonlyArray<string>) =>
  missing.length === 0 || missing.length === needed.length ? {} : { needed }

/** The fields of a run that decide who may see it and act on it. @category models @since 0.1.0 */
export type Owned = Pick<RunRecord, "causes" | "owner" | "runId" | "tenant">

/** The scope to act on every run of the tenant: to answer, cancel, resume, fork and retry it. It includes reading. */
const acting = "runs:act:tenant"

/** Whether a principal reads every run of its tenant: with scope `runs:read:tenant` or `runs:act:tenant`. */
const readsAll = ({ scopes }: Principal) => Policy.holds(scopes, "runs:read:tenant") || Policy.holds(scopes, acting)

/** Whether a run is this principal's to see: its owner's, and with scope `runs:read:tenant` the tenant's. @category predicates @since 0.1.0 */
export const sees = (principal: Principal, run: Pick<Owned, "owner" | "tenant">): boolean =>
  run.tenant === principal.tenant && (run.owner === principal.id || readsAll(principal))

/** Whether this principal may act on a run: its owner, and with scope `runs:act:tenant` on those of the tenant. @category predicates @since 0.1.0 */
export const acts = (principal: Principal, run: Owned): boolean =>
  run.tenant === principal.tenant && (run.owner === principal.id || Policy.holds(principal.scopes, acting))

/** The owner that a principal acts for, when that is somebody else. @category accessors @since 0.1.0 */
export const onBehalf = (principal: Principal, { owner }: Owned): { readonly onBehalfOf?: string } =>
  owner === principal.id ? {} : { onBehalfOf: owner }

/**
 * The grants of a run once a principal has acted on it for its owner: no more than both hold.
 *
 * @category conversions
 * @since 0.1.0
 */
export const narrowed = (
  principal: Principal,
  { grants, owner }: Pick<RunRecord, "grants" | "owner">
): { readonly grants?: RunRecord["grants"] } => {
  if (owner === principal.id) return {}
  const both = [
    ...grants.scopes.filter((scope) => Policy.holds(principal.scopes, scope)),
    ...principal.scopes.filter((scope) => Policy.holds(grants.scopes, scope))
  ]
  const roles = grants.roles.filter((role) => principal.roles.includes(role))
  return { grants: { ...grants, scopes: [...new Set(both)], roles } }
}

/**
 * The grants of a run that a principal resumes: its owner's own grants as they are now, and for another no more than both
 * hold. A run that is held since its owner is not valid any more rests on the principal that resumes it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const resumed = (
  principal: Principal,
  run: Pick<RunRecord, "grants" | "owner" | "waitsFor">,
  at: number
): { readonly grants?: RunRecord["grants"] } => {
  const { claims, id, roles, scopes } = principal
  if (run.owner === id) return { grants: { scopes, roles, claims, authority: { at } } }
  const { grants = run.grants } = narrowed(principal, run)
  return { grants: run.waitsFor === "principal" ? { ...grants, authority: { at, by: { id, claims } } } : grants }
}

/**
 * A run belongs to its owner in its tenant. Somebody else's run looks like no run.
 *
 * @category combinators
 * @since 0.1.0
 */
export const requireRun = (
  principal: Principal,
  runId: string,
  run: RunRecord | undefined
): Effect.Effect<RunRecord, RunNotFound> =>
  run !== undefined && sees(principal, run) ? Effect.succeed(run) : Effect.fail(new RunNotFound({ runId }))

/**
 * A run that this principal may act on. A run that it may only read is refused for the missing scope.
 *
 * @category combinators
 * @since 0.1.0
 */
export const requireActor = (
  principal: Principal,
  runId: string,
  run: RunRecord | undefined
): Effect.Effect<RunRecord, RunNotFound | Forbidden> =>
  Effect.flatMap(
    requireRun(principal, runId, run),
    (run) =>
      acts(principal, run) ? Effect.succeed(run) : Effect.fail(new Forbidden({ rule: "scopes", missing: [acting] }))
  )

/** Whether this principal is one of those who may decide. @category predicates @since 0.1.0 */
export const approves = (
  principal: Principal,
  run: Owned,
  { except = [], notRequester, scopes }: Approvers
): boolean =>
  run.tenant === principal.tenant && scopes.every((scope) => Policy.holds(principal.scopes, scope)) &&
  !(notRequester && causesOf(run).includes(principal.id)) && !except.includes(principal.id)

/** Everybody who caused a run: its owner, and who triggered, forked, retried or resumed it. @category accessors @since 0.1.0 */
export const causesOf = (
  { causes = [], owner }: Pick<RunRecord, "causes" | "owner">
): ReadonlyArray<string> => [owner, ...causes]

/** The causes of a run that these people have caused as well. @category accessors @since 0.1.0 */
export const withCauses = (
  owner: string,
  ...ids: ReadonlyArray<string>
): { readonly causes?: ReadonlyArray<string> } => {
  const causes = [...new Set(ids)].filter((id) => id !== owner)
  return causes.length === 0 ? {} : { causes }
}

/**
 * Checks the approvers of an interrupt. For other callers the interrupt does not exist, unless they may see its run.
 *
 * @category combinators
 * @since 0.1.0
 */
export const requireApprover = (
  principal: Principal,
  run: RunRecord,
  approvers: Approvers
): Effect.Effect<void, Forbidden | RunNotFound> => {
  if (approves(principal, run, approvers)) return Effect.void
  const missing = approvers.scopes.filter((scope) => !Policy.holds(principal.scopes, scope))
  const refusal = new Forbidden({
    rule: missing.length === 0 ? "not the requester" : "approvers",
    missing,
    ...neededBeside(missing, approvers.scopes)
  })
  return Effect.andThen(requireRun(principal, run.runId, run), Effect.fail(refusal))
}

/** The owners whose runs a principal may list. @category accessors @since 0.1.0 */
export const visibleRuns = (principal: Principal): { readonly tenant: string; readonly owner?: string } =>
  readsAll(principal)
    ? { tenant: principal.tenant }
    : { tenant: principal.tenant, owner: principal.id }
