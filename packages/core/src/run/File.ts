/**
 * A file that an agent or a tool takes: a field of its payload, with the media types and the size that it allows.
 *
 * A caller sends the bytes in base64, as a part of a form, or names a file that was uploaded before.
 *
 * @since 0.1.0
 */
import { Effect, Result, Schema } from "effect"
import * as Base64 from "effect/encoding/Base64"
import * as Content from "./Content.ts"
import { fileKey } from "./internal/filePlaces.ts"
import { CurrentRun } from "./Run.ts"
import { FileNotFound } from "./RunError.ts"

/** @category options @since 0.1.0 */
export interface Options {
  /** The media types that are allowed, such as `image/*` or `application/pdf`; all unless given. */
  readonly mediaTypes?: ReadonlyArray<string>
  /** The largest number of bytes. The limit of a request's body applies besides. */
  readonly maxBytes?: number
}

const Any = Schema.Struct({
  mediaType: Content.MediaType,
  name: Schema.optionalKey(Content.Name),
  size: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  bytes: Schema.optionalKey(Schema.String.check(Schema.isBase64())),
  fileId: Schema.optionalKey(Content.FileId)
})

/** A file as its handler gets it: its bytes in base64, or the id of the stored file. @category models @since 0.1.0 */
export type File = typeof Any.Type

/** A file that is to be stored. @category models @since 0.1.0 */
export interface NewFile {
  readonly bytes: Uint8Array
  readonly mediaType: string
  readonly name?: string | undefined
}

/**
 * The schema of a payload's field that is a file.
 *
 * **Example** (An agent that looks at a photo)
 *
 * ```ts
 * import { Agent, File } from "@fastagentic/core"
 *
 * class Look extends Agent.make("look", {
 *   description: "Says what a photo shows",
 *   payload: { photo: File.make({ mediaTypes: ["image/*"], maxBytes: 5_000_000 }) }
 * }) {}
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Schema.Codec<File, File> =>
  Any.check(Schema.makeFilter((file) => {
    if ((file.bytes === undefined) === (file.fileId === undefined)) return "Expected exactly one of bytes and fileId"
    const size = file.bytes === undefined ? file.size ?? 0 : Content.sizeOf(file.bytes)
    return refusal(options, { mediaType: file.mediaType, size }) ?? true
  })).annotate({ description: describe(options), [fileKey]: options })

/**
 * The reason for which a file is not allowed, if it is not.
 *
 * @category predicates
 * @since 0.1.0
 */
export const refusal = (
  { maxBytes = Infinity, mediaTypes }: Options,
  file: { readonly mediaType: string; readonly size: number }
): string | undefined => {
  if (mediaTypes !== undefined && !mediaTypes.some((allowed) => matches(allowed, file.mediaType))) {
    return `Expected a file of the type ${mediaTypes.join(" or ")}, but it is ${file.mediaType}`
  }
  return file.size > maxBytes ? `Expected at most ${maxBytes} bytes, but the file has ${file.size}` : undefined
}

/** Parameters of a media type, and the case of its letters, do not matter. */
const matches = (allowed: string, mediaType: string) => {
  const [essence = ""] = mediaType.toLowerCase().split(";")
  const wanted = allowed.toLowerCase()
  if (wanted === "*/*") return true
  return wanted.endsWith("/*") ? essence.trim().startsWith(wanted.slice(0, -1)) : essence.trim() === wanted
}

const describe = ({ maxBytes, mediaTypes }: Options) => {
  const type = mediaTypes === undefined ? "A file" : `A file of the type ${mediaTypes.join(" or ")}`
  return maxBytes === undefined ? type : `${type}, at most ${maxBytes} bytes`
}

/**
 * The bytes of a file or of content, inside a run. A file of somebody else is not found.
 *
 * @category combinators
 * @since 0.1.0
 */
export const read = (
  { bytes, fileId = "" }: Pick<File, "bytes" | "fileId">
): Effect.Effect<Uint8Array, FileNotFound, CurrentRun> => {
  if (bytes === undefined) return CurrentRun.use(({ files }) => files.read(fileId))
  return Result.match(Base64.decode(bytes), {
    onSuccess: (decoded) => Effect.succeed(decoded),
    onFailure: () => Effect.fail(new FileNotFound({ fileId }))
  })
}

/**
 * Stores a file for the owner of the run, for as long as the run is kept. The same bytes under the same name are the same
 * file, so that a replay gets it again. A server that keeps no files gives the bytes back in base64.
 *
 * @category combinators
 * @since 0.1.0
 */
export const save = (file: NewFile): Effect.Effect<File, never, CurrentRun> =>
  CurrentRun.use(({ files }) => files.save(file))

/** The file as content: an image, audio, or a file by its media type. @category conversions @since 0.1.0 */
export const toContent = (
  { bytes, fileId, mediaType, name, size }: File,
  options: Content.Description = {}
): Content.Binary => {
  const type = Content.kindOf(mediaType)
  return {
    type,
    mediaType,
    ...(bytes === undefined ? {} : { bytes }),
    ...(fileId === undefined ? {} : { fileId }),
    ...(size === undefined ? {} : { size }),
    ...(name === undefined ? {} : { name }),
    ...options
  }
}
