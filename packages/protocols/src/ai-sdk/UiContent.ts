// The mapping between content and the parts of a UI message of the AI SDK, in both directions.
import * as Content from "@fastagentic/core/run/Content"
import { Option, Schema } from "effect"
import type { Links } from "../internal/fileLinks.ts"
import type { UiChunk } from "./UiChunk.ts"

const optional = Schema.optionalKey

const TextPart = Schema.Struct({ type: Schema.Literal("text"), text: Schema.String })
const FilePart = Schema.Struct({
  type: Schema.Literal("file"),
  mediaType: optional(Schema.String),
  url: Schema.String,
  filename: optional(Schema.String)
})
const DataPart = Schema.Struct({ type: Schema.TemplateLiteral(["data-", Schema.String]), data: Schema.Json })
const decodePart = Schema.decodeUnknownOption(Schema.Union([TextPart, FilePart, DataPart]))

/** The content of a user's message; parts of other kinds, such as marks of steps, say nothing. */
export const fromParts = (parts: ReadonlyArray<unknown>, links: Links): Content.List =>
  parts.flatMap((part) =>
    Option.match(decodePart(part), { onNone: () => [], onSome: (known) => [fromPart(known, links)] })
  )

const fromPart = (
  part: typeof TextPart.Type | typeof FilePart.Type | typeof DataPart.Type,
  { fileIdOf }: Pick<Links, "fileIdOf">
): Content.Content => {
  if ("text" in part) return Content.text(part.text)
  if ("data" in part) return Content.data(part.data, { name: part.type.slice("data-".length) || "data" })
  const name = Content.nameOf(part.filename)
  const named = name === undefined ? {} : { name }
  const data = dataOf(part.url)
  const mediaType = Content.mediaTypeOf(part.mediaType || data?.mediaType)
  if (data !== undefined) return { type: Content.kindOf(mediaType), mediaType, bytes: data.bytes, ...named }
  const fileId = fileIdOf(part.url)
  if (fileId !== undefined) return { type: Content.kindOf(mediaType), mediaType, fileId, ...named }
  return Content.linkOrText(part.url, { ...(part.mediaType ? { mediaType } : {}), ...named })
}

/** The bytes of a `data:` URL in base64; nothing for other addresses. */
export const dataOf = (url: string): { readonly mediaType: string; readonly bytes: string } | undefined => {
  const comma = url.indexOf(",")
  if (!/^data:/iu.test(url) || comma === -1) return undefined
  const [mediaType = "", ...parameters] = url.slice("data:".length, comma).split(";")
  const text = url.slice(comma + 1)
  const isBase64 = parameters.some((one) => one.trim().toLowerCase() === "base64")
  return { mediaType: mediaType || "text/plain", bytes: isBase64 ? text : base64OfText(text) }
}

const base64OfText = (text: string) => {
  const bytes = new TextEncoder().encode(URL.canParse(`data:,${text}`) ? unescaped(text) : text)
  let binary = ""
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

const unescaped = (text: string) => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The chunks that show content; `id` is unique in the message. */
export const toChunks = (contents: Content.List, id: string, { urlOf }: Pick<Links, "urlOf">): ReadonlyArray<UiChunk> =>
  contents.flatMap((content, index) => toChunk(content, `${id}-${index}`, urlOf))

const toChunk = (content: Content.Content, id: string, urlOf: Links["urlOf"]): ReadonlyArray<UiChunk> => {
  switch (content.type) {
    case "text":
      return [
        { type: "text-start", id },
        { type: "text-delta", id, delta: content.text },
        { type: "text-end", id }
      ]
    case "data":
      return [{ type: `data-${content.name ?? "content"}`, id, data: content.data }]
    case "link": {
      const title = content.title ?? content.name
      return [{ type: "source-url", sourceId: id, url: content.uri, ...(title === undefined ? {} : { title }) }]
    }
    default:
      return [{ type: "file", mediaType: content.mediaType, url: addressOf(content, urlOf) }]
  }
}

/** The address of a stored file, or the bytes themselves. */
export const addressOf = ({ bytes, fileId, mediaType }: Content.Binary, urlOf: Links["urlOf"]): string =>
  fileId === undefined ? `data:${mediaType.replaceAll(/\s/gu, "")};base64,${bytes ?? ""}` : urlOf(fileId)
