/**
 * Converts a framework's values to JSON.
 *
 * @since 0.1.0
 */
import { Option, Schema } from "effect"

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Json))

const write = (value: unknown): string | undefined => {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

/** The serialisable part of a value; `null` when there is none. @category conversions @since 0.1.0 */
export const toJson = (value: unknown): Schema.Json => Option.getOrElse(decode(write(value) ?? "null"), () => null)

/** Parses a JSON text that holds an object or an array; returns any other text unchanged. @category conversions @since 0.1.0 */
export const fromText = (text: string): Schema.Json =>
  /^\s*[[{]/.test(text) ? Option.getOrElse(decode(text), () => text) : text
