/**
 * The one table of a record's fields: every store derives its columns, parameters, updates and defaults from it.
 *
 * @since 0.1.0
 */
import { Struct } from "effect"
import type { RunRecord } from "../run/RunRecord.ts"

/**
 * How stores keep a field.
 *
 * `value` is the type of its column; a store without columns keeps everything as JSON. `row` says which of the two rows of
 * a record holds it: `runs` is small and rewritten as a whole by each change, `run_values` holds what may be large or never
 * changes. `change` says whether a commit may change the field: `set` keeps the old value when the commit has none,
 * `append` is `set` for what changes with most commits (it must be in no index), and `wait` is `set` except that a change
 * of state clears it. `missing` is the value in records that were written before the field existed. A `large` field is left
 * out of summaries.
 *
 * @category models
 * @since 0.1.0
 */
export interface RecordField {
  readonly value: "text" | "integer" | "boolean" | "json"
  readonly row: "runs" | "run_values"
  readonly change?: "set" | "append" | "wait"
  readonly missing?: number | boolean | string
  readonly large?: true
}

/**
 * Every field of a record. A field that is not here does not compile.
 *
 * @category models
 * @since 0.1.0
 */
export const recordFields = {
  runId: { value: "text", row: "runs" },
  kind: { value: "text", row: "runs" },
  agent: { value: "text", row: "runs" },
  state: { value: "text", row: "runs", change: "set" },
  attempt: { value: "integer", row: "runs", change: "set" },
  seq: { value: "integer", row: "runs" },
  emitted: { value: "integer", row: "runs", change: "append" },
  crashes: { value: "integer", row: "runs", change: "set", missing: 0 },
  priority: { value: "integer", row: "runs", missing: 0 },
  wakeAt: { value: "integer", row: "runs", change: "wait" },
  waitsFor: { value: "text", row: "runs", change: "wait" },
  deadline: { value: "integer", row: "runs" },
  durable: { value: "boolean", row: "runs" },
  tenant: { value: "text", row: "runs" },
  owner: { value: "text", row: "runs" },
  grants: { value: "json", row: "run_values", change: "set" },
  payload: { value: "json", row: "run_values", change: "set", large: true },
  output: { value: "json", row: "run_values", change: "set", large: true },
  error: { value: "json", row: "runs", change: "set" },
  usage: { value: "json", row: "runs", change: "set" },
  threadId: { value: "text", row: "runs" },
  parentRunId: { value: "text", row: "runs" },
  rootRunId: { value: "text", row: "runs" },
  forkedFrom: { value: "json", row: "runs" },
  causes: { value: "json", row: "runs", change: "set" },
  retriedAs: { value: "text", row: "runs", change: "set" },
  idempotencyKey: { value: "text", row: "runs" },
  traceId: { value: "text", row: "runs" },
  fingerprint: { value: "text", row: "runs", change: "set" },
  createdAt: { value: "integer", row: "runs" },
  updatedAt: { value: "integer", row: "runs" },
  finishedAt: { value: "integer", row: "runs", change: "set" }
} as const satisfies { readonly [Name in keyof RunRecord]-?: RecordField }

type Fields = typeof recordFields

/**
 * The name of a field.
 *
 * @category models
 * @since 0.1.0
 */
export type RecordFieldName = keyof Fields

type WithChange<Change> = {
  [Name in RecordFieldName]: Fields[Name] extends { readonly change: Change } ? Name : never
}[RecordFieldName]

/**
 * The name of a field that a commit may change.
 *
 * @category models
 * @since 0.1.0
 */
export type ChangeableField = WithChange<string>

/**
 * The name of a field that may be large.
 *
 * @category models
 * @since 0.1.0
 */
export type LargeField = {
  [Name in RecordFieldName]: Fields[Name] extends { readonly large: true } ? Name : never
}[RecordFieldName]

/**
 * A record without the fields that may be large, or with those of them that were asked for.
 *
 * @category models
 * @since 0.1.0
 */
export type RunSummary = Omit<RunRecord, LargeField> & Partial<Pick<RunRecord, LargeField>>

const isField = (name: string): name is RecordFieldName => Object.hasOwn(recordFields, name)

const isWaitField = (name: string): name is WithChange<"wait"> => {
  const field: RecordField | undefined = isField(name) ? recordFields[name] : undefined
  return field?.change === "wait"
}

/**
 * The fields with their names, in the order of the table.
 *
 * @category combinators
 * @since 0.1.0
 */
export const recordFieldList: ReadonlyArray<RecordField & { readonly name: RecordFieldName }> = Object.keys(
  recordFields
)
  .filter(isField)
  .map((name) => ({ name, ...recordFields[name] }))

/**
 * The fields that a change of state clears.
 *
 * @category combinators
 * @since 0.1.0
 */
export const waitFields: ReadonlyArray<WithChange<"wait">> = Object.keys(recordFields).filter(isWaitField)

const isLargeField = (name: string): name is LargeField => {
  const field: RecordField | undefined = isField(name) ? recordFields[name] : undefined
  return field?.large === true
}

/**
 * The fields that may be large.
 *
 * @category combinators
 * @since 0.1.0
 */
export const largeFields: ReadonlyArray<LargeField> = Object.keys(recordFields).filter(isLargeField)

/**
 * A record without the fields that may be large.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toSummary = (run: RunRecord): RunSummary => Struct.omit(run, largeFields)

/**
 * The values of fields that records of earlier versions lack.
 *
 * @category combinators
 * @since 0.1.0
 */
export const missingFields: Readonly<Record<string, unknown>> = Object.fromEntries(
  recordFieldList.flatMap(({ missing, name }) => missing === undefined ? [] : [[name, missing]])
)
