/**
 * Values of a framework as JSON.
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

/** What can be written of a value; `null` when nothing can. @category conversions @since 0.1.0 */
export const toJson = (value: unknown): Schema.Json => Option.getOrElse(decode(write(value) ?? "null"), () => null)

/** The object or list behind a JSON text; any other text is itself. @category conversions @since 0.1.0 */
export const fromText = (text: string): Schema.Json =>
  /^\s*[[{]/.test(text) ? Option.getOrElse(decode(text), () => text) : text
