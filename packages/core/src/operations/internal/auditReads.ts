import { Effect } from "effect"
import type { Audit, Query } from "../../audit/Audit.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { asRunError } from "../../run/internal/runErrors.ts"

/** Reading the audit trail, which is itself written down. */
export const makeAuditReads = (door: Door, trail: Audit["Service"]) => ({
  audit: Effect.fnUntraced(function*(caller: Caller, query: Omit<Query, "tenant">) {
    const principal = yield* door.enter(caller, "audit", ["audit:read"])
    const entries = yield* asRunError(trail.page({ ...query, tenant: principal.tenant }))
    yield* door.audit(caller, principal, "read", "audit")
    return entries
  })
})
