// Rows to values, which throw on a damaged row, for `Effect.try`; values to parameters, which throw on what is not
// JSON, for `Result.try`.
import { type Event, RunEvent } from "@fastagentic/core/run/Event"
import { Interrupt, Resolution } from "@fastagentic/core/run/Interrupt"
import * as PackedEvents from "@fastagentic/core/run/PackedEvents"
import { RunRecord } from "@fastagentic/core/run/RunRecord"
import type { RunSummary } from "@fastagentic/core/store/RecordFields"
import type { StoredStep } from "@fastagentic/core/store/RunStore"
import { Schema, Struct } from "effect"
import type { Row } from "effect/sql/SqlConnection"
import { columns, fieldsOf, json, parameterOf, plain, runColumns, valueColumns } from "./recordColumns.ts"

/** The columns of a record under the names of its fields; `runs` and `run_values` are joined. */
export const recordColumns = columns.map(({ column, name }) => `${column} AS "${name}"`).join(", ")

/** The columns of a summary, as `recordColumns`. */
export const summaryColumns = columns.filter(({ large }) => large !== true)
  .map(({ column, name }) => `${column} AS "${name}"`).join(", ")

export const eventColumns = `last_seq AS "lastSeq", first_seq AS "firstSeq", attempt, ts, body`

export const interruptColumns = `id, state, created_at AS "createdAt", expires_at AS "expiresAt", request, resolution`

const optional = Schema.optionalKey
const fromJson = Schema.fromJsonString

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
    rule: Interrupt.fields.rule,
    client: Interrupt.fields.client,
    url: Interrupt.fields.url,
    signal: Interrupt.fields.signal
  })),
  resolution: optional(fromJson(Resolution))
})

const decodeRecord = Schema.decodeUnknownSync(RunRecord)
const decodeEvents = Schema.decodeUnknownSync(Schema.Array(RunEvent))
const decodePacked = Schema.decodeUnknownSync(Schema.Struct({ packed: Schema.Array(Schema.Unknown) }))
const decodeEntries = Schema.decodeUnknownSync(Schema.Array(Schema.StructWithRest(
  Schema.Struct({ ts: Schema.Int, attempt: Schema.Int }),
  [Schema.Record(Schema.String, Schema.Unknown)]
)))
const decodeInterrupt = Schema.decodeUnknownSync(InterruptRow)

const decodeStep = Schema.decodeUnknownSync(StepRow)

export const toStep = (row: Row): StoredStep => decodeStep(present(row))

export const toRecord = (row: Row): RunRecord => decodeRecord(fieldsOf(row))

const decodeSummary = Schema.decodeUnknownSync(RunRecord.mapFields(Struct.omit(["payload", "output"])))

export const toSummary = (row: Row): RunSummary => decodeSummary(fieldsOf(row))

/**
 * The events of these rows after a number; throws when one is missing. All are decoded at once, because most rows hold
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

/** The events of a commit with the row's time and attempt, or the events that `packedBody` merged. */
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

/** The body of one row that replaces several consecutive rows. */
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

/** A row without its NULLs, because an absent value has no key. */
const present = (row: Row) => {
  const values: Record<string, unknown> = {}
  for (const [column, value] of Object.entries(row)) {
    if (value !== null) values[column] = plain(value)
  }
  return values
}

export const jsonOrNull = (value: unknown) => value === undefined ? null : json(value)

export const bodyOf = (events: ReadonlyArray<Event>) => events.length === 0 ? null : json(events)

/** The parameters of an admitted record, in the order of `runColumns`. */
export const recordParams = (run: RunRecord, seq: number) =>
  runColumns.map((column) => parameterOf(column, { ...run, seq }))

/** The parameters of its values, in the order of `valueColumns`. */
export const valueParams = (run: RunRecord) => valueColumns.map((column) => parameterOf(column, run))

export const keyParams = (run: RunRecord) => [run.tenant, run.owner, run.kind, run.agent, run.idempotencyKey ?? null]

export const interruptParams = (runId: string, interrupt: Interrupt) => {
  const { createdAt, expiresAt = null, id, resolution, runId: _, state, ...request } = interrupt
  return [runId, id, state, createdAt, expiresAt, json(request), jsonOrNull(resolution)]
}
