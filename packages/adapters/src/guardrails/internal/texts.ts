// The texts of a JSON value, in order, and the value with other texts in their places.
import * as Content from "@fastagentic/core/run/Content"
import { Schema } from "effect"

/** The kinds of content, and the fields of content that hold no text. A key alone says nothing: anybody may give it a text. */
const kinds: ReadonlySet<string> = new Set(["text", "image", "audio", "file", "link", "data"])
const isFileId = Schema.is(Content.FileId)
const isMediaType = Schema.is(Content.MediaType)

const isNoText = (key: string, text: string, beside: Schema.JsonObject): boolean => {
  switch (key) {
    case "type":
      return kinds.has(text)
    case "fileId":
      return isFileId(text)
    case "mediaType":
      return isMediaType(text)
    case "bytes":
      return isMediaType(beside["mediaType"]) && /^[A-Za-z0-9+/]*={0,2}$/u.test(text)
    default:
      return false
  }
}

/** Calls a function for each text. Values without a text stay the same. */
const mapTexts = (value: Schema.Json, change: (text: string) => string): Schema.Json => {
  if (typeof value === "string") return value.trim() === "" ? value : change(value)
  if (value === null || typeof value !== "object") return value
  if (Array.isArray(value)) {
    const items: ReadonlyArray<Schema.Json> = value
    return items.map((item) => mapTexts(item, change))
  }
  // cast: JSON that is no list, text, number, boolean or null is an object.
  const object = value as Schema.JsonObject
  return Object.fromEntries(
    Object.entries(object).map(([key, item]) =>
      [key, typeof item === "string" && isNoText(key, item, object) ? item : mapTexts(item, change)] as const
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
