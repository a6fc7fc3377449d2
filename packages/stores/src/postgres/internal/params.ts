// Parameters of PostgreSQL statements that write many rows at once.
import { PgTypes } from "@effect/sql-pg"
import { Result } from "effect"
import type { RecordColumn } from "../../sql/recordColumns.ts"

/** The columns of rows that a statement takes as parameters, with the types of their values. */
export type Columns = Readonly<Record<string, "text" | "float8">>

/** The columns of a record's fields, each with a prefix. */
export const typesOf = (fields: ReadonlyArray<RecordColumn>, prefix = ""): Columns =>
  Object.fromEntries(
    fields.map((
      { column, value }
    ) => [`${prefix}${column}`, value === "integer" || value === "boolean" ? "float8" : "text"])
  )

/**
 * The parameters of a statement. Rows are sent column by column, so that a statement has the same text, and is prepared
 * once, for any number of rows. Numbers are sent as `float8`; the columns of the table make them integers.
 */
export class Params {
  readonly values: Array<unknown> = []

  /** Adds a value and returns its placeholder. */
  add(value: unknown): string {
    this.values.push(value)
    return `$${this.values.length}`
  }

  /** Adds rows and returns a common table expression of them. */
  table(name: string, columns: Columns, rows: ReadonlyArray<ReadonlyArray<unknown>>): string {
    return this.tableOf(name, columns, rows, (row, _, at) => row[at])
  }

  /** The same of any values: `valueOf` gives that of a column. */
  tableOf<A>(
    name: string,
    columns: Columns,
    rows: ReadonlyArray<A>,
    valueOf: (row: A, column: string, at: number) => unknown
  ): string {
    let arrays = ""
    let names = ""
    let at = 0
    for (const column in columns) {
      const type = columns[column] ?? "text"
      const index = at++
      const values = rows.map((row) => valueOf(row, column, index) ?? null)
      const separator = index === 0 ? "" : ", "
      arrays += `${separator}${this.add(Result.getOrThrow(PgTypes.array(values, PgTypes.OID[type])))}::${type}[]`
      names += separator + column
    }
    return `${name} AS (SELECT * FROM unnest(${arrays}) AS ${name} (${names}))`
  }
}
