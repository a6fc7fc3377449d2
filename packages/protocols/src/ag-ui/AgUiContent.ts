// The mapping between content and the parts of AG-UI messages, in both directions.
import * as Content from "@fastagentic/core/run/Content"
import { Schema } from "effect"
import * as Base64 from "effect/encoding/Base64"
import type { Links } from "../internal/fileLinks.ts"

const optional = Schema.optionalKey

const Source = Schema.Struct({
  type: Schema.Literals(["data", "url", "file"]),
  value: Schema.String,
  mimeType: optional(Schema.String)
})

const TextPart = Schema.Struct({ type: Schema.Literal("text"), text: Schema.String })
const MediaPart = Schema.Struct({
  type: Schema.Literals(["image", "audio", "video", "document"]),
  source: Source,
  metadata: optional(Schema.Json)
})

/** The form of files before version 1.0. */
const BinaryPart = Schema.Struct({
  type: Schema.Literal("binary"),
  mimeType: Schema.String,
  data: optional(Schema.String),
  url: optional(Schema.String),
  id: optional(Schema.String),
  filename: optional(Schema.String)
})

/** A part of a message of the user. */
export const Part = Schema.Union([TextPart, MediaPart, BinaryPart])

/** The content of a part. */
export const fromPart = (
  part: typeof Part.Type,
  links: Links
): Content.Content => {
  switch (part.type) {
    case "text":
      return Content.text(part.text)
    case "binary": {
      const { data, filename, id, mimeType, url } = part
      if (data !== undefined) return binary({ bytes: data }, mimeType, filename)
      return linked(url ?? id ?? "", mimeType, links, filename)
    }
    default: {
      const { mimeType, type, value } = part.source
      return type === "data" ? binary({ bytes: value }, mimeType) : linked(value, mimeType, links)
    }
  }
}

const isFileId = Schema.is(Content.FileId)

const linked = (address: string, mimeType: string | undefined, { fileIdOf }: Links, name?: string) => {
  const fileId = isFileId(address) ? address : fileIdOf(address)
  return fileId === undefined
    ? Content.linkOrText(address, mimeType === undefined ? {} : { mediaType: Content.mediaTypeOf(mimeType) })
    : binary({ fileId }, mimeType, name)
}

const binary = (
  source: { readonly bytes: string } | { readonly fileId: string },
  mimeType: string | undefined,
  filename?: string
): Content.Binary => {
  const mediaType = Content.mediaTypeOf(mimeType)
  const name = Content.nameOf(filename)
  return { type: Content.kindOf(mediaType), mediaType, ...source, ...(name === undefined ? {} : { name }) }
}

/** A part of AG-UI; data and links are documents. */
export const partOf = (content: Content.Content, urlOf: Links["urlOf"]): { readonly [key: string]: Schema.Json } => {
  switch (content.type) {
    case "text":
      return { type: "text", text: content.text }
    case "data":
      return {
        type: "document",
        source: { type: "data", value: Base64.encode(JSON.stringify(content.data)), mimeType: "application/json" }
      }
    case "link":
      return {
        type: "document",
        source: {
          type: "url",
          value: content.uri,
          ...(content.mediaType === undefined ? {} : { mimeType: content.mediaType })
        }
      }
    default:
      return {
        type: content.type === "file" ? "document" : content.type,
        source: content.fileId === undefined
          ? { type: "data", value: content.bytes ?? "", mimeType: content.mediaType }
          : { type: "url", value: urlOf(content.fileId), mimeType: content.mediaType }
      }
  }
}
