// Values as parameters of `node:sqlite`; `statements.ts` binds them.
import type { SQLInputValue } from "node:sqlite"

export const toInputs = (params: ReadonlyArray<unknown>): ReadonlyArray<SQLInputValue> =>
  params.every(isInput) ? params : params.map(toInput)

const isInput = (value: unknown): value is SQLInputValue => {
  switch (typeof value) {
    case "string":
    case "number":
    case "bigint":
      return true
    default:
      return value === null || ArrayBuffer.isView(value)
  }
}

const toInput = (value: unknown): SQLInputValue => {
  if (isInput(value)) return value
  if (value === undefined) return null
  if (typeof value === "boolean") return value ? 1 : 0
  if (value instanceof Date) return value.toISOString()
  // node:sqlite would read an object as a record of named parameters
  throw new TypeError(`Cannot bind ${typeof value} as a parameter`)
}
