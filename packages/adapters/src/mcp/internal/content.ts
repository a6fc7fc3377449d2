// Content of the results, prompts and resources of a remote server. What it sends has been checked for its shape only, so
// media types, names and addresses are read as those of a stranger.
import * as Content from "@fastagentic/core/run/Content"
import type { CallToolResult, ContentBlock, ResourceContents } from "@modelcontextprotocol/client"
import { Option, Result, Schema } from "effect"
import * as Base64 from "effect/encoding/Base64"

const decodeJson = Schema.decodeUnknownOption(Schema.Json)
const decodeAnnotations = Schema.decodeUnknownOption(Content.Annotations)

/** The content of a result. The text that repeats the structured value is left out: a model would read it twice. */
export const ofResult = ({ content, structuredContent }: CallToolResult): Content.List => {
  const data = structuredContent === undefined ? undefined : Option.getOrUndefined(decodeJson(structuredContent))
  if (data === undefined) return content.map(ofBlock)
  const others = content.filter((block) => block.type !== "text" || !isSame(block.text, data))
  return [Content.data(data), ...others.map(ofBlock)]
}

/** Whether a text is the JSON of a value, in any layout. */
const isSame = (text: string, data: Schema.Json): boolean => {
  if (!/^\s*[[{"\d\-tfn]/u.test(text)) return false
  const read = Option.getOrUndefined(Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Json))(text))
  return read !== undefined && JSON.stringify(read) === JSON.stringify(data)
}

/** The content of a block. */
export const ofBlock = (block: ContentBlock): Content.Content => {
  const annotations = Option.getOrUndefined(decodeAnnotations(block.annotations))
  const shared = annotations === undefined ? {} : { annotations }
  switch (block.type) {
    case "text":
      return Content.text(block.text, shared)
    case "image":
    case "audio":
      return bytesOf(block.type, block.mimeType, block.data, shared)
    case "resource_link": {
      const { description, mimeType, size, title, uri } = block
      const name = Content.nameOf(block.name)
      return Content.linkOrText(uri, {
        ...(name === undefined ? {} : { name }),
        ...(title === undefined ? {} : { title }),
        ...(description === undefined ? {} : { description }),
        ...(mimeType === undefined ? {} : { mediaType: Content.mediaTypeOf(mimeType) }),
        ...(size !== undefined && Number.isSafeInteger(size) && size >= 0 ? { size } : {}),
        ...shared
      })
    }
    case "resource":
      return ofResource(block.resource, shared)
  }
}

type Resource = ResourceContents & ({ readonly text: string } | { readonly blob: string })

/** The content of a resource: text stays text, bytes are a file under its address. */
export const ofResource = (resource: Resource, shared: Content.Description = {}): Content.Content => {
  const name = Content.nameOf(resource.uri)
  const described = { ...(name === undefined ? {} : { name }), ...shared }
  if ("blob" in resource) {
    const mediaType = Content.mediaTypeOf(resource.mimeType)
    return bytesOf(Content.kindOf(mediaType), mediaType, resource.blob, described)
  }
  return Content.text(resource.text, {
    ...(resource.mimeType === undefined ? {} : { mediaType: Content.mediaTypeOf(resource.mimeType) }),
    ...described
  })
}

/** Bytes that are no base64 are none. */
const bytesOf = (type: Content.Binary["type"], mimeType: string, data: string, description: Content.Description) => {
  const bytes = Result.getOrElse(Base64.decode(data), () => new Uint8Array())
  const source = { bytes }
  const mediaType = Content.mediaTypeOf(mimeType)
  switch (type) {
    case "image":
      return Content.image(source, mediaType, description)
    case "audio":
      return Content.audio(source, mediaType, description)
    case "file":
      return Content.file(source, mediaType, description)
  }
}
