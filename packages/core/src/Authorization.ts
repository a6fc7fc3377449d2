/**
 * The second stage of the door: may this principal do this.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import * as Policy from "./Policy.ts"
import type { Principal } from "./Principal.ts"
import { Forbidden, RunNotFound } from "./RunError.ts"
import type { RunRecord } from "./RunRecord.ts"

/** A declaration's scopes must all be held. @category combinators @since 0.1.0 */
export const requireScopes = (principal: Principal, needed: ReadonlyArray<string>): Effect.Effect<void, Forbidden> => {
  const missing = needed.filter((scope) => !Policy.holds(principal.scopes, scope))
  return missing.length === 0 ? Effect.void : Effect.fail(new Forbidden({ rule: "scopes", missing }))
}

/**
 * A run belongs to its owner in its tenant; scope `runs:tenant` opens all runs of the tenant. Somebody else's run looks
 * like no run.
 *
 * @category combinators
 * @since 0.1.0
 */
export const requireRun = (
  principal: Principal,
  runId: string,
  run: RunRecord | undefined
): Effect.Effect<RunRecord, RunNotFound> =>
  run !== undefined && run.tenant === principal.tenant &&
    (run.owner === principal.id || Policy.holds(principal.scopes, "runs:tenant"))
    ? Effect.succeed(run)
    : Effect.fail(new RunNotFound({ runId }))

/** Whose runs a principal may list. @category accessors @since 0.1.0 */
export const visibleRuns = (principal: Principal): { readonly tenant: string; readonly owner?: string } =>
  Policy.holds(principal.scopes, "runs:tenant")
    ? { tenant: principal.tenant }
    : { tenant: principal.tenant, owner: principal.id }
