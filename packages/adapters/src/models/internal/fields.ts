// Reads fields of values that came from a provider; nothing about their types is known.
import { Predicate } from "effect"

export type Fields = { readonly [key: string]: unknown }

export const isFields = (value: unknown): value is Fields => Predicate.isReadonlyObject(value)

export const fieldsOf = (value: unknown): Fields => isFields(value) ? value : {}

export const listOf = (value: unknown): ReadonlyArray<unknown> =>
  Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]

/** A text that is not empty; ids arrive as numbers too. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined

/** A finite number, also one written as text. */
export const numberOf = (value: unknown): number | undefined => {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value
  return typeof number === "number" && Number.isFinite(number) ? number : undefined
}

/** The value of a JSON text, or `undefined`. */
export const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
