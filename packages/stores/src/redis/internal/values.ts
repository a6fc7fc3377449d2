// Replies of Redis to values; a damaged one throws, for `Result.try`.
import { RunEvent } from "@fastagentic/core/run/Event"
import { Interrupt } from "@fastagentic/core/run/Interrupt"
import * as PackedEvents from "@fastagentic/core/run/PackedEvents"
import { RunRecord } from "@fastagentic/core/run/RunRecord"
import { missingFields, recordFieldList, recordFields, type RunSummary } from "@fastagentic/core/store/RecordFields"
import type { Fact, RecentPage, StoredStep } from "@fastagentic/core/store/RunStore"
import { Array as Arr, Schema, Struct } from "effect"

const decodeTexts = Schema.decodeUnknownSync(Schema.Array(Schema.String))
const decodeRecord = Schema.decodeUnknownSync(RunRecord)
const decodeEvents = Schema.decodeUnknownSync(Schema.Array(RunEvent))
const decodeInterrupt = Schema.decodeUnknownSync(Interrupt)
const decodeStep = Schema.decodeUnknownSync(
  Schema.Struct({ name: Schema.String, value: Schema.Json, seq: Schema.Int })
)

const parse = (text = ""): unknown => JSON.parse(text)

/** The reply for a hash is its fields and values in turn. */
const pairs = (reply: unknown): ReadonlyArray<readonly [field: string, value: string]> => {
  const texts = decodeTexts(reply)
  return texts.flatMap((field, index) => index % 2 === 0 ? [[field, texts[index + 1] ?? ""] as const] : [])
}

export const isEmpty = (reply: unknown): boolean => Array.isArray(reply) && reply.length === 0

/** The fields of a record; its hash has other fields too, for the scripts. */
const fieldsOf = (reply: unknown): Record<string, unknown> => ({
  ...missingFields,
  ...Object.fromEntries(
    pairs(reply).flatMap(([field, value]) => Object.hasOwn(recordFields, field) ? [[field, parse(value)]] : [])
  )
})

export const toRecord = (runId: string, reply: unknown): RunRecord => {
  const record = decodeRecord(fieldsOf(reply))
  if (record.runId !== runId) throw new Error(`the record is of run ${record.runId}`)
  return record
}

const decodeSummary = Schema.decodeUnknownSync(RunRecord.mapFields(Struct.omit(["payload", "output"])))

/** The fields of a summary, which are all that is read for it. */
export const summaryFields = recordFieldList.flatMap(({ large, name }) => large === true ? [] : [name])

export const toSummary = (runId: string, reply: unknown): RunSummary => {
  const summary = decodeSummary(fieldsOf(reply))
  if (summary.runId !== runId) throw new Error(`the record is of run ${summary.runId}`)
  return summary
}

/** The index of an event in its list gives its number. */
export const toEvents = (runId: string, reply: unknown, after: number): ReadonlyArray<RunEvent> =>
  decodeEvents(
    decodeTexts(reply).map((text, index) => ({ ...Object(parse(text)), runId, seq: after + 1 + index }))
  )

/** A stored event, for `toChunks`. */
const decodeEntry = Schema.decodeUnknownSync(
  Schema.StructWithRest(Schema.Struct({ ts: Schema.Int, attempt: Schema.Int }), [
    Schema.Record(Schema.String, Schema.Unknown)
  ])
)

/** A journal as chunks, for compaction; the index of a chunk gives the numbers of its events. */
export const toChunks = (reply: unknown): { readonly before: number; readonly chunks: ReadonlyArray<string> } => {
  const entries = decodeTexts(reply).map((text) => decodeEntry(parse(text)))
  const chunks = Arr.chunksOf(entries, PackedEvents.chunkSize).map(PackedEvents.pack)
  return { before: entries.length, chunks: chunks.map((chunk) => JSON.stringify(chunk)) }
}

/** The indexes of the chunks that hold up to `limit` events after a number. */
export const chunksWith = (after: number, limit: number) => ({
  first: Math.floor(after / PackedEvents.chunkSize),
  last: Math.ceil((after + Math.max(limit, 1)) / PackedEvents.chunkSize) - 1
})

export const toPackedEvents = (
  runId: string,
  reply: unknown,
  after: number,
  limit: number
): ReadonlyArray<RunEvent> => {
  const { first } = chunksWith(after, limit)
  const chunks = decodeTexts(reply).map((text) => decodeChunk(parse(text)))
  const events = chunks.flatMap((entries, index) => {
    const at = (first + index) * PackedEvents.chunkSize
    const events = PackedEvents.unpack(entries, { runId, first: at + 1 })
    const isWhole = events.length === PackedEvents.chunkSize || index === chunks.length - 1
    if (!isWhole) throw new Error(`${events.length} events from ${at + 1} on`)
    return events
  })
  return decodeEvents(events.filter(({ seq }) => seq > after && seq <= after + Math.max(limit, 1)))
}

const decodeChunk = Schema.decodeUnknownSync(Schema.Array(Schema.Unknown))

export const toSteps = (reply: unknown): ReadonlyArray<StoredStep> =>
  pairs(reply)
    .map(([name, lines]) => toStep(name, lines))
    .sort((a, b) => a.name < b.name ? -1 : 1)

/** A step is the number of its commit, a line break, and its value; earlier versions wrote the value alone. */
const toStep = (name: string, lines: string) => {
  const end = lines.indexOf("\n")
  const seq = end < 0 ? 0 : parse(lines.slice(0, end))
  return decodeStep({ name: parse(name), value: parse(lines.slice(end + 1)), seq })
}

export const toInterrupts = (runId: string, reply: unknown): ReadonlyArray<Interrupt> =>
  pairs(reply)
    .map(([, lines]) => toInterrupt(runId, lines))
    .sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))

const toInterrupt = (runId: string, lines: string) => {
  const [state, request, resolution] = lines.split("\n")
  const resolved = resolution === undefined ? {} : { resolution: parse(resolution) }
  return decodeInterrupt({ ...Object(parse(request)), state, ...resolved, runId })
}

export const toRunIds = decodeTexts

const decodeText = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.String))

export const toText = (text: string): string => decodeText(text)

const decodeScan = Schema.decodeUnknownSync(Schema.Tuple([Schema.String, Schema.Array(Schema.String)]))

/** Keys that match a pattern, and the cursor of the next page. */
export const toScan = (reply: unknown) => {
  const [next, found] = decodeScan(reply)
  return { next, found }
}

const decodeEnded = Schema.decodeUnknownSync(Schema.Tuple([Schema.String, Schema.Array(Schema.String)]))

/** Ids and times in turn, and how many there are on all pages. */
export const toEnded = (reply: unknown): RecentPage => {
  const [total, found] = decodeEnded(reply)
  const runs = found.flatMap((runId, index) => index % 2 === 0 ? [{ runId, changedAt: Number(found[index + 1]) }] : [])
  return { runs, total: Number(total) }
}

const decodePage = Schema.decodeUnknownSync(
  Schema.Tuple([Schema.String, Schema.Array(Schema.TupleWithRest(Schema.Tuple([Schema.String]), [Schema.String]))])
)

/** A page of an index: where the next one begins, if there is one, and the fields of its runs. */
export const toPage = (reply: unknown) => {
  const [next, runs] = decodePage(reply)
  return { next, runs: runs.map(([runId, ...fields]) => ({ runId, fields })) }
}

const decodeFacts = Schema.decodeUnknownSync(
  Schema.Array(Schema.Tuple([Schema.String, Schema.String, Schema.String]))
)

/** Facts of the outbox, each as its id, its time and its text. */
export const toFacts = (reply: unknown): ReadonlyArray<Fact> =>
  decodeFacts(reply).map(([id, at, body]) => ({ id, at: Number(at), body }))
