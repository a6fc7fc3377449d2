// The mapping between content and parts of A2A, in both directions. Fields that a part does not have are in its metadata.
import * as Content from "@fastagentic/core/run/Content"
import { Option, Schema } from "effect"
import { type Links, linksOf } from "../internal/fileLinks.ts"
import type { Part } from "./A2aSchema.ts"

export { type Links, linksOf }

export const toPart = (content: Content.Content, { urlOf }: Pick<Links, "urlOf">): Part => {
  const { annotations, mediaType, name } = content
  const more: Record<string, Schema.Json> = annotations === undefined ? {} : { annotations: { ...annotations } }
  if (Content.isBinary(content)) {
    // The media type says which kind it is, mostly.
    if (Content.kindOf(content.mediaType) !== content.type) more["type"] = content.type
    if (content.size !== undefined) more["size"] = content.size
  }
  if (content.type === "link") {
    for (const key of ["title", "description", "size"] as const) {
      const value = content[key]
      if (value !== undefined) more[key] = value
    }
  }
  return {
    ...valueOf(content, urlOf),
    ...(mediaType === undefined ? {} : { mediaType }),
    ...(name === undefined ? {} : { filename: name }),
    ...(Object.keys(more).length === 0 ? {} : { metadata: more })
  }
}

export const toParts = (contents: Content.List, links: Pick<Links, "urlOf">): ReadonlyArray<Part> =>
  contents.map((one) => toPart(one, links))

const valueOf = (content: Content.Content, urlOf: Links["urlOf"]): Part => {
  switch (content.type) {
    case "text":
      return { text: content.text }
    case "data":
      return { data: content.data }
    case "link":
      return { url: content.uri }
    default:
      return content.fileId === undefined ? { raw: content.bytes ?? "" } : { url: urlOf(content.fileId) }
  }
}

/** Anything that metadata of others may be wrong about is left out. */
const Metadata = Schema.Struct({
  annotations: Schema.optionalKey(Content.Annotations),
  type: Schema.optionalKey(Schema.Literals(["image", "audio", "file"])),
  title: Schema.optionalKey(Schema.String),
  description: Schema.optionalKey(Schema.String),
  size: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))
})
const decodeMetadata = Schema.decodeUnknownOption(Metadata)
const none: typeof Metadata.Type = {}

export const fromPart = (part: Part, { fileIdOf }: Pick<Links, "fileIdOf">): Content.Content => {
  const { annotations, type, ...more } = Option.getOrElse(decodeMetadata(part.metadata ?? {}), () => none)
  const name = Content.nameOf(part.filename)
  const mediaType = part.mediaType === undefined || part.mediaType === ""
    ? undefined
    : Content.mediaTypeOf(part.mediaType)
  const shared = {
    ...(name === undefined ? {} : { name }),
    ...(annotations === undefined ? {} : { annotations })
  }
  const typed = mediaType === undefined ? shared : { mediaType, ...shared }
  const { data, raw, text, url } = part
  if (text !== undefined) return Content.text(text, typed)
  if (raw === undefined && url === undefined) return Content.data(data ?? null, typed)
  const fileId = url === undefined ? undefined : fileIdOf(url)
  if (url !== undefined && fileId === undefined) return Content.linkOrText(url, { ...typed, ...more })
  const kind = mediaType ?? "application/octet-stream"
  const size = more.size === undefined ? {} : { size: more.size }
  const bytes = base64Of(raw ?? "")
  return {
    type: type ?? Content.kindOf(kind),
    mediaType: kind,
    ...(fileId === undefined ? { bytes } : { fileId }),
    ...size,
    ...shared
  }
}

/** Protocol buffers read both alphabets of base64, with and without padding. */
export const base64Of = (raw: string): string => {
  const plain = raw.replaceAll("-", "+").replaceAll("_", "/").replace(/=+$/u, "")
  return plain + "=".repeat((4 - plain.length % 4) % 4)
}
