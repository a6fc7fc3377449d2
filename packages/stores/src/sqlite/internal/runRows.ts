/** Rows to values: a row that is not what it should be throws, for `Effect.try`. */
import { Failure, RunEvent, Usage } from "@fastagentic/core/Event"
import { Interrupt, Resolution } from "@fastagentic/core/Interrupt"
import { RunRecord } from "@fastagentic/core/RunRecord"
import type { Step } from "@fastagentic/core/RunStore"
import { Schema } from "effect"
import type { Row } from "effect/sql/SqlConnection"

/** The columns of a record by the names of its fields; `runs` and `run_values` are joined. */
export const recordColumns = `
  run_id AS "runId", kind, agent, state, attempt, seq, emitted, durable, tenant, owner, payload, output, error, usage,
  thread_id AS "threadId", parent_run_id AS "parentRunId", idempotency_key AS "idempotencyKey",
  trace_id AS "traceId", fingerprint, created_at AS "createdAt", updated_at AS "updatedAt", finished_at AS "finishedAt"`

export const eventColumns = `last_seq AS "lastSeq", first_seq AS "firstSeq", attempt, ts, body`

export const interruptColumns = `id, state, created_at AS "createdAt", expires_at AS "expiresAt", request, resolution`

const optional = Schema.optionalKey
const json = Schema.fromJsonString

const RecordRow = Schema.Struct({
  ...RunRecord.fields,
  durable: Schema.BooleanFromBit,
  payload: json(Schema.Json),
  output: optional(json(Schema.Json)),
  error: optional(json(Failure)),
  usage: optional(json(Usage))
})

const StepRow = Schema.Struct({ name: Schema.String, value: json(Schema.Json) })

const InterruptRow = Schema.Struct({
  id: Schema.String,
  state: Interrupt.fields.state,
  createdAt: Schema.Int,
  expiresAt: optional(Schema.Int),
  request: json(Schema.Struct({
    name: Schema.String,
    kind: Interrupt.fields.kind,
    message: Interrupt.fields.message,
    tool: Interrupt.fields.tool,
    toolCallId: Interrupt.fields.toolCallId,
    arguments: Interrupt.fields.arguments,
    responseSchema: Interrupt.fields.responseSchema
  })),
  resolution: optional(json(Resolution))
})

const decodeRecord = Schema.decodeUnknownSync(RecordRow)
const decodeEvents = Schema.decodeUnknownSync(Schema.Array(RunEvent))
const decodeInterrupt = Schema.decodeUnknownSync(InterruptRow)

export const toStep: (row: Row) => Step = Schema.decodeUnknownSync(StepRow)

export const toRecord = (row: Row): RunRecord => decodeRecord(present(row))

/** The events of these rows that come after a number. One decoding for all: most rows have one event. */
export const toEvents = (runId: string, rows: ReadonlyArray<Row>, after: number): ReadonlyArray<RunEvent> =>
  decodeEvents(rows.flatMap((row) => entriesOf(runId, row)).filter(({ seq }) => seq > after))

const entriesOf = (runId: string, { attempt, body, firstSeq, lastSeq, ts }: Row) => {
  const events: unknown = JSON.parse(String(body))
  const first = Number(firstSeq)
  if (!Array.isArray(events) || events.length !== Number(lastSeq) - first + 1) {
    throw new Error(`not the events from ${String(firstSeq)} to ${String(lastSeq)}`)
  }
  return events.map((event: unknown, index) => ({ ...Object(event), runId, seq: first + index, ts, attempt }))
}

export const toInterrupt = (runId: string, row: Row): Interrupt => {
  const { request, ...rest } = decodeInterrupt(present(row))
  return { ...request, ...rest, runId }
}

/** A row without its NULLs: an absent value has no key. */
const present = (row: Row) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null))
