// The columns of a run's record, derived from `recordFields`: the SQL stores build every statement about records from
// them.
import { type RecordField, recordFieldList, type RecordFieldName } from "@fastagentic/core/store/RecordFields"

/** A field of the record with the column that holds it. */
export interface RecordColumn extends RecordField {
  readonly name: RecordFieldName
  readonly column: string
}

const snakeCase = (name: string) => name.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`)

/** All columns of both rows, in the order of the table. */
export const columns: ReadonlyArray<RecordColumn> = recordFieldList.map((field) => ({
  ...field,
  column: snakeCase(field.name)
}))

/** The columns of `runs`. */
export const runColumns = columns.filter(({ row }) => row === "runs")

/** The columns of `run_values` besides its key. */
export const valueColumns = columns.filter(({ row }) => row === "run_values")

/** The columns of `runs` that a commit changes, but not with most commits. */
export const changeColumns = runColumns.filter(({ change }) => change === "set" || change === "wait")

/** The columns of `runs` that most commits change. */
export const appendColumns = runColumns.filter(({ change }) => change === "append")

/** The columns of `run_values` that a commit changes. */
export const changeableValues = valueColumns.filter(({ change }) => change !== undefined)

/** A field as a parameter. Throws when it is not JSON. */
export const parameterOf = (
  { name, value: type }: RecordColumn,
  record: { readonly [Name in RecordFieldName]?: unknown }
) => {
  const value = record[name]
  if (value === undefined) return null
  if (type === "json") return json(value)
  return type === "boolean" ? Number(value) : value
}

export const json = (value: unknown): string => {
  const text: string | undefined = JSON.stringify(value)
  if (text === undefined) throw new TypeError(`${typeof value} is not JSON`)
  return text
}

/** The fields of a row without NULLs, for the schema of the record. Throws when a column has no JSON. */
export const fieldsOf = (row: Readonly<Record<string, unknown>>): Record<string, unknown> => {
  const fields: Record<string, unknown> = {}
  for (const { name, value: type } of columns) {
    const value = row[name]
    if (value === null || value === undefined) continue
    fields[name] = type === "json" ? parsed(value) : type === "boolean" ? toBoolean(plain(value)) : plain(value)
  }
  return fields
}

const parsed = (value: unknown): unknown => JSON.parse(String(value))

const toBoolean = (value: unknown) => value === 0 ? false : value === 1 ? true : value

/** A number, when the driver reads 64-bit integers as bigints. */
export const plain = (value: unknown): unknown => typeof value === "bigint" ? Number(value) : value
