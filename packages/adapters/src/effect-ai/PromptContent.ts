/**
 * The mapping between content and the parts of a model's prompt and answer.
 *
 * @since 0.1.0
 */
import { Content, File, type Run, type RunError } from "@fastagentic/core"
import { Effect, Result } from "effect"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Base64 from "effect/encoding/Base64"

/** A part of a user's message. @category models @since 0.1.0 */
export type Part = Prompt.TextPart | Prompt.FilePart

/** Content whose bytes are beside it. */
type Inline = Content.Text | Content.Link | Content.Data | (Content.Binary & { readonly bytes: string })

/**
 * The parts of a user's message that say the same as content. Stored files are read for the owner of the run; a model does not
 * see names of other content, nor annotations.
 *
 * **Example** (Asking a model about a photo)
 *
 * ```ts
 * import { File } from "@fastagentic/core"
 * import { PromptContent } from "@fastagentic/adapters/effect-ai"
 * import { Effect } from "effect"
 * import * as Prompt from "effect/ai/Prompt"
 *
 * const ask = (question: string, photo: File.File) =>
 *   Effect.map(PromptContent.parts([{ type: "text", text: question }, File.toContent(photo)]), (content) =>
 *     Prompt.fromMessages([Prompt.makeMessage("user", { content })]))
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const parts = (
  contents: Content.List
): Effect.Effect<ReadonlyArray<Part>, RunError.FileNotFound, Run.CurrentRun> =>
  Effect.forEach(contents, (content) => Effect.map(inlined(content), fromContent))

const inlined = (content: Content.Content): Effect.Effect<Inline, RunError.FileNotFound, Run.CurrentRun> =>
  Content.isBinary(content)
    ? Effect.map(File.read(content), (bytes) => ({ ...content, bytes: Base64.encode(bytes) }))
    : Effect.succeed(content)

/**
 * The part that says the same as content. Links to images and documents are files that the provider fetches; other links and
 * data are text.
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromContent = (content: Inline): Part => {
  switch (content.type) {
    case "text":
      return Prompt.makePart("text", { text: content.text })
    case "data":
      return Prompt.makePart("text", { text: JSON.stringify(content.data) })
    case "link": {
      const { mediaType, name, title = name, uri } = content
      if (mediaType !== undefined && /^https:/iu.test(uri) && /^(image\/|audio\/|application\/pdf)/iu.test(mediaType)) {
        return filePart(mediaType, new URL(uri), name)
      }
      return Prompt.makePart("text", { text: title === undefined ? uri : `${title}: ${uri}` })
    }
    default:
      return filePart(content.mediaType, bytesOf(content.bytes), content.name)
  }
}

const filePart = (mediaType: string, data: Uint8Array | URL, fileName: string | undefined) =>
  Prompt.makePart("file", { mediaType, data, ...(fileName === undefined ? {} : { fileName }) })

const bytesOf = (base64: string) => Result.getOrElse(Base64.decode(base64), () => new Uint8Array())

/** The content of a part of a prompt. @category conversions @since 0.1.0 */
export const fromPart = (part: Part): Content.Content => {
  if (part.type === "text") return Content.text(part.text)
  const name = Content.nameOf(part.fileName)
  return fromData(part.data, Content.mediaTypeOf(part.mediaType), name === undefined ? {} : { name })
}

/** Text is a URL with the data in it, another URL, or the bytes in base64. */
const fromData = (
  data: string | Uint8Array | URL,
  mediaType: string,
  description: Content.Description
): Content.Content => {
  if (data instanceof Uint8Array) return Content.binary({ bytes: data }, mediaType, description)
  const text = String(data)
  const base64 = /^data:[^,]*;base64,/iu.test(text) ? text.slice(text.indexOf(",") + 1) : text
  const decoded = Base64.decode(base64)
  return Result.isSuccess(decoded)
    ? Content.binary({ bytes: decoded.success }, mediaType, description)
    : Content.linkOrText(text, { mediaType, ...description })
}

/** The content of a file or a source in a model's answer. @category conversions @since 0.1.0 */
export const fromResponsePart = (
  part: Response.FilePart | Response.DocumentSourcePart | Response.UrlSourcePart
): Content.Content => {
  if (part.type === "file") return Content.binary({ bytes: part.data }, Content.mediaTypeOf(part.mediaType))
  const { id, title } = part
  if (part.sourceType === "url") return Content.linkOrText(part.url.href, { title })
  const { fileName, mediaType } = part
  return Content.data({ source: { id, title, mediaType, ...(fileName === undefined ? {} : { fileName }) } })
}
