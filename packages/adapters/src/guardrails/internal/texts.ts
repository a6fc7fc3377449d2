// The texts of a JSON value, in order, and the value with other texts in their places.
import type { Schema } from "effect"

/** Strings under these keys are bytes and names, not text. */
const notText: ReadonlySet<string> = new Set(["bytes", "fileId", "mediaType", "type", "messageId", "toolCallId"])

/** Calls a function for each text. Values without a text stay the same. */
const mapTexts = (value: Schema.Json, change: (text: string) => string): Schema.Json => {
  if (typeof value === "string") return value.trim() === "" ? value : change(value)
  if (value === null || typeof value !== "object") return value
  if (Array.isArray(value)) {
    const items: ReadonlyArray<Schema.Json> = value
    return items.map((item) => mapTexts(item, change))
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) =>
      [key, notText.has(key) && typeof item === "string" ? item : mapTexts(item, change)] as const
    )
  )
}

export const textsIn = (value: Schema.Json): ReadonlyArray<string> => {
  const texts: Array<string> = []
  mapTexts(value, (text) => {
    texts.push(text)
    return text
  })
  return texts
}

/** The value with its texts exchanged, in the order of `textsIn`. */
export const withTexts = (value: Schema.Json, texts: ReadonlyArray<string>): Schema.Json => {
  let at = 0
  return mapTexts(value, (text) => texts[at++] ?? text)
}
