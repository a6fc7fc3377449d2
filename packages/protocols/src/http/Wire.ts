/**
 * The shapes of REST that are the same for every app.
 *
 * @since 0.1.0
 */
import { Recorded } from "@fastagentic/core/Audit"
import * as CoreInterrupt from "@fastagentic/core/Interrupt"
import { RunRecord } from "@fastagentic/core/RunRecord"
import { Schema, Struct } from "effect"

/**
 * A run as callers see it. Times are Unix milliseconds.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Run = RunRecord.mapFields(
  Struct.omit(["emitted", "tenant", "owner", "grants", "fingerprint", "idempotencyKey"])
).annotate({ identifier: "Run" })

/** @category models @since 0.1.0 */
export type Run = typeof Run.Type

/** What a run waits for. @category schemas @since 0.1.0 */
export const Interrupt = CoreInterrupt.Interrupt.annotate({ identifier: "Interrupt" })

/** A run that pauses, with what it waits for. @category schemas @since 0.1.0 */
export const SuspendedRun = Schema.Struct({ ...Run.fields, interrupts: Schema.Array(Interrupt) })
  .annotate({ identifier: "SuspendedRun" })

/** @category conversions @since 0.1.0 */
export const runOf = (
  {
    emitted: _emitted,
    fingerprint: _fingerprint,
    grants: _grants,
    idempotencyKey: _key,
    owner: _owner,
    tenant: _tenant,
    ...run
  }: RunRecord
): Run => run

/** An entry of the audit trail. Times are Unix milliseconds. @category schemas @since 0.1.0 */
export const AuditEntry = Recorded.annotate({ identifier: "AuditEntry" })

/** A page of a list; `next` goes into `?after=` for the page that follows. @category schemas @since 0.1.0 */
export const pageOf = <S extends Schema.Constraint>(item: S) =>
  Schema.Struct({ items: Schema.Array(item), next: Schema.NullOr(Schema.String) })
