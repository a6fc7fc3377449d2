/**
 * One vocabulary for everything that is said, given or returned: text, images, audio, files, links and data.
 *
 * A value of content is plain JSON, the same in a handler, in a journal and on every wire. Its bytes are base64 beside it,
 * or a stored file that it names.
 *
 * @since 0.1.0
 */
import { Result, Schema } from "effect"
import * as Base64 from "effect/encoding/Base64"
import { contentKey, fileKey } from "./internal/filePlaces.ts"

const optional = Schema.optionalKey

/** @category models @since 0.1.0 */
export type MediaType = string

/** A media type such as `image/png`, with its parameters. @category schemas @since 0.1.0 */
export const MediaType = Schema.String.check(
  Schema.isMaxLength(255),
  Schema.isPattern(/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+([ \t]*;[ \t]*[\w!#$&^.+-]+=("[ !#-[\]-~]*"|[\w!#$&^.+-]+))*$/u, {
    expected: "a media type such as image/png"
  })
)

/** A name to be shown, such as that of a file. It is never a path of the server. @category schemas @since 0.1.0 */
export const Name = Schema.NonEmptyString.check(
  Schema.isMaxLength(255),
  Schema.isPattern(/^[^\p{Cc}\p{Surrogate}]*$/u, { expected: "a name without control characters" })
)

/** The id of a stored file. @category schemas @since 0.1.0 */
export const FileId = Schema.String.check(
  Schema.isPattern(/^[0-9a-f]{64}$/u, { expected: "the id of a stored file" })
)

/**
 * Hints for a client that shows the content: its audience, its importance from 0 to 1, and the time of its last change.
 *
 * @category models
 * @since 0.1.0
 */
export const Annotations = Schema.Struct({
  audience: optional(Schema.Array(Schema.Literals(["user", "assistant"]))),
  priority: optional(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))),
  lastModified: optional(Schema.String.check(Schema.isMaxLength(64)))
}).annotate({ identifier: "ContentAnnotations" })

/** @category models @since 0.1.0 */
export type Annotations = typeof Annotations.Type

const description = { name: optional(Name), annotations: optional(Annotations) }

/** The fields of content whose bytes are base64 in `bytes`, or those of the stored file `fileId`. */
const source = {
  mediaType: MediaType,
  bytes: optional(Schema.String.check(Schema.isBase64())),
  fileId: optional(FileId),
  /** The number of bytes. */
  size: optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  ...description
}

const hasOneSource = Schema.makeFilter(
  (content: { readonly bytes?: string; readonly fileId?: string }) =>
    (content.bytes === undefined) !== (content.fileId === undefined) || "Expected exactly one of bytes and fileId"
)

/** Marks a schema whose value has bytes that the runtime stores as a file. */
const stored = { [fileKey]: contentKey }

/** @category models @since 0.1.0 */
export const Text = Schema.Struct({
  type: Schema.Literal("text"),
  text: Schema.String,
  mediaType: optional(MediaType),
  ...description
}).annotate({ identifier: "TextContent" })

/** @category models @since 0.1.0 */
export const Image = Schema.Struct({ type: Schema.Literal("image"), ...source }).check(hasOneSource)
  .annotate({ identifier: "ImageContent", ...stored })

/** @category models @since 0.1.0 */
export const Audio = Schema.Struct({ type: Schema.Literal("audio"), ...source }).check(hasOneSource)
  .annotate({ identifier: "AudioContent", ...stored })

/** Bytes of any other kind. @category models @since 0.1.0 */
export const File = Schema.Struct({ type: Schema.Literal("file"), ...source }).check(hasOneSource)
  .annotate({ identifier: "FileContent", ...stored })

/** Schemes that run code, or carry the bytes themselves, where a reader follows the link. */
const unsafeScheme = /^\s*(javascript|vbscript|data|blob)\s*:/iu

/** The address of something that the content does not carry. @category models @since 0.1.0 */
export const Link = Schema.Struct({
  type: Schema.Literal("link"),
  uri: Schema.String.check(
    Schema.isMaxLength(8_192),
    Schema.isPattern(/^[a-z][a-z0-9+.-]*:[^\s\p{Cc}]+$/iu, { expected: "an absolute URI" }),
    Schema.makeFilter((uri) => !unsafeScheme.test(uri), { expected: "a URI that runs no code and holds no bytes" })
  ),
  title: optional(Schema.String),
  description: optional(Schema.String),
  mediaType: optional(MediaType),
  size: optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  ...description
}).annotate({ identifier: "LinkContent" })

/** A value for programs. @category models @since 0.1.0 */
export const Data = Schema.Struct({
  type: Schema.Literal("data"),
  data: Schema.Json,
  mediaType: optional(MediaType),
  ...description
}).annotate({ identifier: "DataContent" })

/** @category models @since 0.1.0 */
export type Text = typeof Text.Type
/** @category models @since 0.1.0 */
export type Image = typeof Image.Type
/** @category models @since 0.1.0 */
export type Audio = typeof Audio.Type
/** @category models @since 0.1.0 */
export type File = typeof File.Type
/** @category models @since 0.1.0 */
export type Link = typeof Link.Type
/** @category models @since 0.1.0 */
export type Data = typeof Data.Type

/** One piece of content. @category models @since 0.1.0 */
export const Content = Schema.Union([Text, Image, Audio, File, Link, Data]).annotate({
  identifier: "Content",
  [contentKey]: true
})

/** @category models @since 0.1.0 */
export type Content = typeof Content.Type

/** Content in reading order: the `success` of an agent or a tool that answers with more than one value. @category models @since 0.1.0 */
export const List = Schema.Array(Content)

/** @category models @since 0.1.0 */
export type List = typeof List.Type

/** Content that has bytes. @category models @since 0.1.0 */
export type Binary = Image | Audio | File

/** The bytes of content, or the stored file that has them. @category models @since 0.1.0 */
export type Source = { readonly bytes: Uint8Array } | { readonly fileId: string; readonly size?: number }

/** The fields that content of every kind may have. @category options @since 0.1.0 */
export interface Description {
  readonly name?: string
  readonly annotations?: Annotations
}

/** @category constructors @since 0.1.0 */
export const text = (text: string, options: Description & { readonly mediaType?: string } = {}): Text => ({
  type: "text",
  text,
  ...options
})

/** @category constructors @since 0.1.0 */
export const image = (from: Source, mediaType: string, options: Description = {}): Image => ({
  type: "image",
  mediaType,
  ...sourceOf(from),
  ...options
})

/** @category constructors @since 0.1.0 */
export const audio = (from: Source, mediaType: string, options: Description = {}): Audio => ({
  type: "audio",
  mediaType,
  ...sourceOf(from),
  ...options
})

/** @category constructors @since 0.1.0 */
export const file = (from: Source, mediaType: string, options: Description = {}): File => ({
  type: "file",
  mediaType,
  ...sourceOf(from),
  ...options
})

/** An image, audio or a file, as the media type says. @category constructors @since 0.1.0 */
export const binary = (from: Source, mediaType: string, options: Description = {}): Binary => ({
  type: kindOf(mediaType),
  mediaType,
  ...sourceOf(from),
  ...options
})

const isMediaType = Schema.is(MediaType)
const isLink = Schema.is(Link)

/** A media type from outside; bytes of an unknown kind when it is none. @category conversions @since 0.1.0 */
export const mediaTypeOf = (mediaType = ""): string => isMediaType(mediaType) ? mediaType : "application/octet-stream"

/** A name from outside without what no name may have; nothing when nothing is left. @category conversions @since 0.1.0 */
export const nameOf = (name = ""): string | undefined => {
  const whole = name.replaceAll(/[\p{Cc}\p{Surrogate}]/gu, "")
  const cut = whole.slice(0, 255).replace(/[\ud800-\udbff]$/u, "")
  return cut === "" ? undefined : cut
}

/** A link to an address from outside; text when no link may have this address. @category conversions @since 0.1.0 */
export const linkOrText = (uri: string, options: Omit<Link, "type" | "uri"> = {}): Link | Text => {
  const linked = link(uri, options)
  return isLink(linked) ? linked : text(uri)
}

/** The kind of content that bytes of a media type are. @category accessors @since 0.1.0 */
export const kindOf = (mediaType: string): Binary["type"] => {
  if (/^image\//iu.test(mediaType)) return "image"
  return /^audio\//iu.test(mediaType) ? "audio" : "file"
}

/** @category constructors @since 0.1.0 */
export const link = (uri: string, options: Omit<Link, "type" | "uri"> = {}): Link => ({ type: "link", uri, ...options })

/** @category constructors @since 0.1.0 */
export const data = (data: Schema.Json, options: Omit<Data, "type" | "data"> = {}): Data => ({
  type: "data",
  data,
  ...options
})

const sourceOf = (from: Source) =>
  "bytes" in from ? { bytes: Base64.encode(from.bytes), size: from.bytes.length } : from

/** @category guards @since 0.1.0 */
export const isContent: (value: unknown) => value is Content = Schema.is(Content)

/** Whether a value is a list of content, with one piece or more. @category guards @since 0.1.0 */
export const isList = (value: unknown): value is List =>
  Array.isArray(value) && value.length > 0 && value.every(isContent)

/** @category guards @since 0.1.0 */
export const isBinary = (content: Content): content is Binary =>
  content.type === "image" || content.type === "audio" || content.type === "file"

/** The bytes beside the content; nothing when a stored file has them. @category accessors @since 0.1.0 */
export const bytesOf = ({ bytes }: Pick<Binary, "bytes">): Uint8Array | undefined =>
  bytes === undefined ? undefined : Result.getOrUndefined(Base64.decode(bytes))

/** The number of bytes of base64 text. @category accessors @since 0.1.0 */
export const sizeOf = (base64: string): number =>
  base64.length / 4 * 3 - (base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0)

/** The texts of content, one below the other. @category accessors @since 0.1.0 */
export const textOf = (contents: List): string =>
  contents.flatMap((content) => content.type === "text" ? [content.text] : []).join("\n")

/** The stored files that content names. @category accessors @since 0.1.0 */
export const fileIdsOf = (contents: List): ReadonlyArray<string> =>
  contents.flatMap((content) => isBinary(content) && content.fileId !== undefined ? [content.fileId] : [])
