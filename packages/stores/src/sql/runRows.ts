/**
 * Rows to values: a row that is not what it should be throws, for `Effect.try`. Values to parameters: what is not JSON
 * throws, for `Result.try`.
 */
import { type Event, Failure, RunEvent, Usage } from "@fastagentic/core/run/Event"
import { Interrupt, Resolution } from "@fastagentic/core/run/Interrupt"
import * as PackedEvents from "@fastagentic/core/run/PackedEvents"
import { RunRecord } from "@fastagentic/core/run/RunRecord"
import type { StoredStep } from "@fastagentic/core/store/RunStore"
import { Schema } from "effect"
import type { Row } from "effect/sql/SqlConnection"

/** The columns of a record by the names of its fields; `runs` and `run_values` are joined. */
export const recordColumns = `
  run_id AS "runId", kind, agent, state, attempt, seq, emitted, crashes, priority, wake_at AS "wakeAt",
  waits_for AS "waitsFor", durable, tenant, owner, grants, payload, output, error, usage, thread_id AS "threadId",
  parent_run_id AS "parentRunId", root_run_id AS "rootRunId", forked_from AS "forkedFrom",
  idempotency_key AS "idempotencyKey",
  trace_id AS "traceId", fingerprint, created_at AS "createdAt", updated_at AS "updatedAt", finished_at AS "finishedAt"`

export const eventColumns = `last_seq AS "lastSeq", first_seq AS "firstSeq", attempt, ts, body`

export const interruptColumns = `id, state, created_at AS "createdAt", expires_at AS "expiresAt", request, resolution`

const optional = Schema.optionalKey
const fromJson = Schema.fromJsonString

const RecordRow = Schema.Struct({
  ...RunRecord.fields,
  durable: Schema.BooleanFromBit,
  grants: fromJson(RunRecord.fields.grants),
  payload: fromJson(Schema.Json),
  output: optional(fromJson(Schema.Json)),
  error: optional(fromJson(Failure)),
  usage: optional(fromJson(Usage)),
  forkedFrom: optional(fromJson(RunRecord.fields.forkedFrom.schema))
})

const StepRow = Schema.Struct({ name: Schema.String, value: fromJson(Schema.Json), seq: Schema.Int })

const InterruptRow = Schema.Struct({
  id: Schema.String,
  state: Interrupt.fields.state,
  createdAt: Schema.Int,
  expiresAt: optional(Schema.Int),
  request: fromJson(Schema.Struct({
    name: Schema.String,
    kind: Interrupt.fields.kind,
    message: Interrupt.fields.message,
    tool: Interrupt.fields.tool,
    toolCallId: Interrupt.fields.toolCallId,
    arguments: Interrupt.fields.arguments,
    responseSchema: Interrupt.fields.responseSchema,
    default: Interrupt.fields.default,
    approvers: Interrupt.fields.approvers,
    risk: Interrupt.fields.risk,
    rule: Interrupt.fields.rule
  })),
  resolution: optional(fromJson(Resolution))
})

const decodeRecord = Schema.decodeUnknownSync(RecordRow)
const decodeEvents = Schema.decodeUnknownSync(Schema.Array(RunEvent))
const decodePacked = Schema.decodeUnknownSync(Schema.Struct({ packed: Schema.Array(Schema.Unknown) }))
const decodeEntries = Schema.decodeUnknownSync(Schema.Array(Schema.StructWithRest(
  Schema.Struct({ ts: Schema.Int, attempt: Schema.Int }),
  [Schema.Record(Schema.String, Schema.Unknown)]
)))
const decodeInterrupt = Schema.decodeUnknownSync(InterruptRow)

const decodeStep = Schema.decodeUnknownSync(StepRow)

export const toStep = (row: Row): StoredStep => decodeStep(present(row))

export const toRecord = (row: Row): RunRecord => decodeRecord(present(row))

/**
 * The events of these rows that come after a number, when none of them is missing. One decoding for all: most rows have
 * one event.
 */
export const toEvents = (runId: string, rows: ReadonlyArray<Row>, after: number): ReadonlyArray<RunEvent> => {
  const entries = rows.flatMap((row) => entriesOf(runId, row)).filter(({ seq }) => seq > after)
  const next = Math.max(after, 0) + 1
  const gap = entries.findIndex(({ seq }, index) => seq !== next + index)
  if (gap !== -1) throw new Error(`event ${next + gap} is missing`)
  return decodeEvents(entries)
}

const entriesOf = (runId: string, row: Row) => {
  const first = Number(row["firstSeq"])
  const events = PackedEvents.unpack(keptIn(row), { runId, first })
  if (events.length !== Number(row["lastSeq"]) - first + 1) {
    throw new Error(`not the events from ${String(row["firstSeq"])} to ${String(row["lastSeq"])}`)
  }
  return events
}

/** The events of a commit, with what the row says of all of them, or what `packedBody` has made of several rows. */
const keptIn = ({ attempt, body, ts }: Row): ReadonlyArray<unknown> => {
  const kept: unknown = JSON.parse(String(body))
  if (Array.isArray(kept)) {
    const stamp = { ts: plain(ts), attempt: plain(attempt) }
    return kept.map((event: unknown) => {
      const { cuts: _cuts, ...plainly } = Object(event)
      return { ...plainly, ...stamp }
    })
  }
  return decodePacked(kept).packed
}

/** Rows that follow one another as the body of one. */
export const packedBody = (runId: string, rows: ReadonlyArray<Row>): string =>
  json({
    packed: PackedEvents.pack(
      rows.flatMap((row) => decodeEntries(entriesOf(runId, row))).map(({ runId: _runId, seq: _seq, ...event }) => event)
    )
  })

export const toInterrupt = (runId: string, row: Row): Interrupt => {
  const { request, ...rest } = decodeInterrupt(present(row))
  return { ...request, ...rest, runId }
}

/** A row without its NULLs: an absent value has no key. */
const present = (row: Row) => {
  const values: Record<string, unknown> = {}
  for (const [column, value] of Object.entries(row)) {
    if (value !== null) values[column] = plain(value)
  }
  return values
}

/** Some drivers read every 64-bit integer as a bigint. */
const plain = (value: unknown) => typeof value === "bigint" ? Number(value) : value

export const json = (value: unknown): string => {
  const text: string | undefined = JSON.stringify(value)
  if (text === undefined) throw new TypeError(`${typeof value} is not JSON`)
  return text
}

export const jsonOrNull = (value: unknown) => value === undefined ? null : json(value)

export const bodyOf = (events: ReadonlyArray<Event>) => events.length === 0 ? null : json(events)

/** The columns of `runs` that an admission fills in, in the order of `recordParams`. */
export const runColumns = [
  "run_id",
  "tenant",
  "owner",
  "kind",
  "agent",
  "state",
  "attempt",
  "emitted",
  "crashes",
  "priority",
  "wake_at",
  "waits_for",
  "durable",
  "thread_id",
  "parent_run_id",
  "idempotency_key",
  "trace_id",
  "fingerprint",
  "created_at",
  "updated_at",
  "finished_at",
  "usage",
  "error",
  "seq"
] as const

export const recordParams = (run: RunRecord, seq: number) => [
  run.runId,
  run.tenant,
  run.owner,
  run.kind,
  run.agent,
  run.state,
  run.attempt,
  run.emitted,
  run.crashes,
  run.priority,
  run.wakeAt ?? null,
  run.waitsFor ?? null,
  run.durable ? 1 : 0,
  run.threadId ?? null,
  run.parentRunId ?? null,
  run.idempotencyKey ?? null,
  run.traceId,
  run.fingerprint,
  run.createdAt,
  run.updatedAt,
  run.finishedAt ?? null,
  jsonOrNull(run.usage),
  jsonOrNull(run.error),
  seq
]

/** The columns of `run_values`, in the order of `valueParams`. */
export const valueColumns = ["run_id", "grants", "payload", "output", "root_run_id", "forked_from"] as const

export const valueParams = (run: RunRecord) => [
  run.runId,
  json(run.grants),
  json(run.payload),
  jsonOrNull(run.output),
  run.rootRunId ?? null,
  jsonOrNull(run.forkedFrom)
]

export const keyParams = (run: RunRecord) => [run.tenant, run.owner, run.kind, run.agent, run.idempotencyKey ?? null]

export const interruptParams = (runId: string, interrupt: Interrupt) => {
  const { createdAt, expiresAt = null, id, resolution, runId: _, state, ...request } = interrupt
  return [runId, id, state, createdAt, expiresAt, json(request), jsonOrNull(resolution)]
}
