// The mapping between content and the blocks of MCP, in both directions and for each revision of the protocol: audio is known
// since 2025-03-26, links to resources since 2025-06-18. Tool results and prompts use it.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import * as Content from "@fastagentic/core/run/Content"
import type { RunError } from "@fastagentic/core/run/RunError"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect, Option, Result, Schema } from "effect"
import * as Base64 from "effect/encoding/Base64"

/** The client of a result: its revision of the protocol, and the address by which it reaches the app, if it has one. */
export interface Reader {
  readonly revision: string
  readonly url: string | undefined
}

/** Content with its bytes, or with a link to the stored file that has them. */
export type Loaded = Exclude<Content.Content, Content.Binary> | (Content.Binary & { readonly bytes: string })

/** Stored files of one result are sent up to so many bytes; others are linked to, because a list may name a file often. */
const inlineBytes = 4 * 1_048_576

/** The blocks of content, with the bytes of the stored files that the caller may read. */
export const toBlocks = (
  runtime: Runtime["Service"],
  caller: Caller,
  reader: Reader,
  contents: Content.List
): Effect.Effect<Array<Sdk.ContentBlock>, RunError> =>
  Effect.suspend(() => {
    let left = inlineBytes
    return Effect.forEach(contents, (content) =>
      Effect.map(load(runtime, caller, reader, content, left), ({ loaded, sent }) => {
        left -= sent
        return toBlock(loaded, reader.revision)
      }))
  })

const load = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  caller: Caller,
  { url }: Reader,
  content: Content.Content,
  left: number
): Effect.fn.Return<{ readonly loaded: Loaded; readonly sent: number }, RunError> {
  if (!Content.isBinary(content)) return { loaded: content, sent: 0 }
  const { annotations, bytes, fileId = "", mediaType, name, size = 0 } = content
  if (bytes !== undefined) return { loaded: { ...content, bytes }, sent: 0 }
  const shared = { ...(name === undefined ? {} : { name }), ...(annotations === undefined ? {} : { annotations }) }
  const link = url === undefined
    ? Content.text(`The file ${name ?? fileId} has the id ${fileId}.`, shared)
    : Content.link(`${url}/files/${fileId}`, { mediaType, size, ...shared })
  if (size > left) return { loaded: link, sent: 0 }
  const file = yield* Effect.catchReason(
    Effect.asSome(runtime.file(caller, fileId)),
    "RunError",
    "FileNotFound",
    () => Effect.succeedNone
  )
  if (Option.isNone(file) || file.value.bytes.length > left) return { loaded: link, sent: 0 }
  return { loaded: { ...content, bytes: Base64.encode(file.value.bytes) }, sent: file.value.bytes.length }
})

/** The block of content for a client of a revision. */
export const toBlock = (content: Loaded, revision: string): Sdk.ContentBlock => {
  const shared = annotated(content, revision)
  switch (content.type) {
    case "text":
      return { type: "text", text: content.text, ...shared }
    case "data":
      return { type: "text", text: JSON.stringify(content.data), ...shared }
    case "link":
      return revision < "2025-06-18"
        ? { type: "text", text: linkText(content), ...shared }
        : { type: "resource_link", ...linkOf(content), ...shared }
    case "image":
      return { type: "image", data: content.bytes, mimeType: content.mediaType, ...shared }
    case "audio":
      if (revision >= "2025-03-26") {
        return { type: "audio", data: content.bytes, mimeType: content.mediaType, ...shared }
      }
  }
  return { type: "resource", resource: resourceOf(content), ...shared }
}

const linkText = ({ name, title = name, uri }: Content.Link) => title === undefined ? uri : `${title}: ${uri}`

const linkOf = ({ description, mediaType, name, size, title, uri }: Content.Link) => ({
  uri,
  name: name ?? title ?? uri,
  ...(title === undefined ? {} : { title }),
  ...(description === undefined ? {} : { description }),
  ...(mediaType === undefined ? {} : { mimeType: mediaType }),
  ...(size === undefined ? {} : { size })
})

/** The URI that stands for a file which has no address; its path is the name of the file. */
const attachment = "attachment:"

/** A text file is sent as text, if its bytes are UTF-8. */
const resourceOf = (
  { bytes, mediaType, name = "" }: { readonly bytes: string; readonly mediaType: string; readonly name?: string }
) => {
  const uri = `${attachment}${encodeURIComponent(name)}`
  const text = /^text\//iu.test(mediaType) ? utf8Of(bytes) : undefined
  return text === undefined ? { uri, mimeType: mediaType, blob: bytes } : { uri, mimeType: mediaType, text }
}

const utf8Of = (bytes: string): string | undefined => {
  const text = Result.getOrElse(Base64.decodeString(bytes), () => "")
  return Base64.encode(text) === bytes ? text : undefined
}

const annotated = ({ annotations }: Content.Content, revision: string) => {
  if (annotations === undefined) return {}
  const { audience, lastModified, priority } = annotations
  return {
    annotations: {
      ...(audience === undefined ? {} : { audience: [...audience] }),
      ...(priority === undefined ? {} : { priority }),
      ...(lastModified === undefined || revision < "2025-06-18" ? {} : { lastModified })
    }
  }
}

/** The content of a block; blocks of kinds that no revision has are data. */
export const fromBlock = (block: Sdk.ContentBlock): Content.Content => {
  const annotations = Option.getOrUndefined(decodeAnnotations(block.annotations))
  const shared = annotations === undefined ? {} : { annotations }
  switch (block.type) {
    case "text":
      return Content.text(block.text, shared)
    case "image":
    case "audio":
      return bytesIn(block.type, block.mimeType, block.data, shared)
    case "resource_link": {
      const { description, mimeType, name, size, title, uri } = block
      const named = Content.nameOf(name === uri ? undefined : name)
      return Content.linkOrText(uri, {
        ...(named === undefined ? {} : { name: named }),
        ...(title === undefined ? {} : { title }),
        ...(description === undefined ? {} : { description }),
        ...(mimeType === undefined ? {} : { mediaType: Content.mediaTypeOf(mimeType) }),
        ...(size === undefined || !Number.isSafeInteger(size) || size < 0 ? {} : { size }),
        ...shared
      })
    }
    case "resource": {
      const { mimeType, uri } = block.resource
      const name = Content.nameOf(uri.startsWith(attachment) ? unescaped(uri.slice(attachment.length)) : uri)
      const bytes = "blob" in block.resource ? block.resource.blob : Base64.encode(block.resource.text)
      return bytesIn("file", mimeType ?? "text/plain", bytes, { ...shared, ...(name === undefined ? {} : { name }) })
    }
  }
}

const decodeAnnotations = Schema.decodeUnknownOption(Content.Annotations)

/** Text without percent-encoding; one that is malformed stays as it is. */
export const unescaped = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Bytes that are no base64 are none. */
const bytesIn = (
  type: Content.Binary["type"],
  mimeType: string,
  data: string,
  description: Content.Description
): Content.Binary => ({
  type,
  mediaType: Content.mediaTypeOf(mimeType),
  bytes: Result.match(Base64.decode(data), { onSuccess: Base64.encode, onFailure: () => "" }),
  ...description
})
