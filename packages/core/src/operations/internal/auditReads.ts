// Reads the audit log for callers with its scope; Runtime builds it. Each read is audited.
import { Effect } from "effect"
import type { Audit, Query } from "../../audit/Audit.ts"
import type { AuditOutbox } from "../../audit/internal/auditOutbox.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { asRunError } from "../../run/internal/runErrors.ts"

/** Reads the audit log, with all that was committed before; each read is audited itself. */
export const makeAuditReads = (door: Door, audit: Audit["Service"], outbox: AuditOutbox) => ({
  audit: Effect.fnUntraced(function*(caller: Caller, query: Omit<Query, "tenant">) {
    const principal = yield* door.enter(caller, "audit", ["audit:read"])
    yield* outbox.flush
    const entries = yield* asRunError(audit.page({ ...query, tenant: principal.tenant }))
    yield* door.audit(caller, principal, "read", "audit")
    return entries
  })
})
