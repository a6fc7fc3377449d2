// The shapes of REST that are the same for every app, used by routes, document and client.
import { Recorded } from "@fastagentic/core/audit/Audit"
import { FileId, MediaType, Name } from "@fastagentic/core/run/Content"
import * as CoreInterrupt from "@fastagentic/core/run/Interrupt"
import { RunFilter, RunRecord } from "@fastagentic/core/run/RunRecord"
import * as RecordFields from "@fastagentic/core/store/RecordFields"
import type { ThreadRecord } from "@fastagentic/core/thread/ThreadStore"
import { Schema, Struct } from "effect"

/** A run as callers see it. Times are Unix milliseconds. */
export const Run = RunRecord.mapFields(
  Struct.omit(["crashes", "emitted", "tenant", "owner", "grants", "fingerprint", "idempotencyKey"])
).annotate({ identifier: "Run" })

export type Run = typeof Run.Type

/** A run in a list: without the fields that may be large, unless they were asked for. */
export const RunSummary = Schema.Struct({
  ...Run.fields,
  payload: Schema.optionalKey(Run.fields.payload)
}).annotate({ identifier: "RunSummary" })

export type RunSummary = typeof RunSummary.Type

/** A decision that a run waits for. */
export const Interrupt = CoreInterrupt.Interrupt.annotate({ identifier: "Interrupt" })

/** An open interrupt in a list: `omitted` names the large values that were left out. */
export const InterruptSummary = CoreInterrupt.Summary.annotate({ identifier: "InterruptSummary" })

/** A suspended run with its open decisions. */
export const SuspendedRun = Schema.Struct({ ...Run.fields, interrupts: Schema.Array(Interrupt) })
  .annotate({ identifier: "SuspendedRun" })

export const runOf = (
  {
    crashes: _crashes,
    emitted: _emitted,
    fingerprint: _fingerprint,
    grants: _grants,
    idempotencyKey: _key,
    owner: _owner,
    tenant: _tenant,
    ...run
  }: RunRecord
): Run => run

export const summaryOf = (
  {
    crashes: _crashes,
    emitted: _emitted,
    fingerprint: _fingerprint,
    grants: _grants,
    idempotencyKey: _key,
    owner: _owner,
    tenant: _tenant,
    ...run
  }: RecordFields.RunSummary
): RunSummary => run

/** An entry of the audit log. Times are Unix milliseconds. */
export const AuditEntry = Recorded.annotate({ identifier: "AuditEntry" })

/** A step after which a run can be forked: `seq` is the number of the event that it was committed with. */
export const Checkpoint = Schema.Struct({ name: Schema.String, seq: Schema.Int }).annotate({ identifier: "Checkpoint" })

/** A thread; `messages` is the number of its last message, times are Unix milliseconds. */
export const Thread = Schema.Struct({
  threadId: Schema.String,
  owner: Schema.String,
  createdAt: Schema.Int,
  updatedAt: Schema.Int,
  messages: Schema.Int,
  forkedFrom: Schema.optionalKey(Schema.Struct({ threadId: Schema.String, at: Schema.Int }))
}).annotate({ identifier: "Thread" })

export type Thread = typeof Thread.Type

export const threadOf = ({ tenant: _tenant, ...thread }: ThreadRecord): Thread => thread

/** Queued runs with a higher priority start first; 0 by default. */
export const Priority = Schema.Int.check(Schema.isBetween({ minimum: -1_000, maximum: 1_000 }))

const isInstant = (text: string) =>
  /^\d{1,15}$/u.test(text) || (zoned.test(text) && !Number.isNaN(Date.parse(text)) && isDay(text.slice(0, 10)))
/** Refuses days that do not exist: `Date` reads the 30th of February as the 2nd of March. */
const isDay = (day: string) => new Date(`${day}T00:00:00Z`).toISOString().startsWith(day)
const zoned = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/u

/** A time as text: ISO 8601 with its offset, or Unix milliseconds. */
export const Instant = Schema.String.check(
  Schema.makeFilter(isInstant, { expected: "an ISO 8601 time with its offset, or Unix milliseconds" })
)

/** An instant in Unix milliseconds. */
export const millisOf = (instant: string | number): number =>
  typeof instant === "number" || /^\d+$/u.test(instant) ? Number(instant) : Date.parse(instant)

/** The query of a page; `after` is the `next` of the page before. */
export const PageQuery = Schema.Struct({
  after: Schema.optionalKey(Schema.String),
  limit: Schema.optionalKey(
    Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: 200 }))
  )
})

/** The parameter that asks for fields that lists leave out because they may be large, as names with commas between them. */
const fieldsOf = (names: ReadonlyArray<string>) => {
  const name = `(${names.join("|")})`
  return Schema.optionalKey(Schema.String.check(Schema.isPattern(new RegExp(`^${name}(,${name})*$`, "u"))))
}

/** The query of `GET /runs`. */
export const RunQuery = Schema.Struct({
  ...RunFilter.fields,
  ...PageQuery.fields,
  fields: fieldsOf(RecordFields.largeFields)
})

/** The query of `GET /interrupts`. */
export const InterruptQuery = Schema.Struct({
  ...PageQuery.fields,
  fields: fieldsOf(CoreInterrupt.largeFields)
})

/** Those of the names that a parameter asks for. */
export const namedIn = <Name extends string>(names: ReadonlyArray<Name>, asked = ""): ReadonlyArray<Name> => {
  const found = new Set(asked.split(","))
  return names.filter((name) => found.has(name))
}

/** A page of a list; `next` goes into `?after=` for the page that follows. */
export const pageOf = <S extends Schema.Constraint>(item: S) =>
  Schema.Struct({ items: Schema.Array(item), next: Schema.NullOr(Schema.String) })

/** A stored file, as it goes into a payload. @category schemas @since 0.1.0 */
export const StoredFile = Schema.Struct({
  fileId: FileId,
  mediaType: MediaType,
  name: Schema.optionalKey(Name),
  size: Schema.Int
}).annotate({ identifier: "StoredFile" })

/** @category models @since 0.1.0 */
export type StoredFile = typeof StoredFile.Type
