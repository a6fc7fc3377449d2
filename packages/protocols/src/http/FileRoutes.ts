// Uploading files and reading them back over REST. A file is served as a download that no browser runs, to its owner only.
import { FileId, MediaType, Name } from "@fastagentic/core/run/Content"
import { type NewFile } from "@fastagentic/core/run/File"
import type { Stored } from "@fastagentic/core/store/Files"
import { Effect, Result, Schema } from "effect"
import * as Base64 from "effect/encoding/Base64"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as FormBody from "./FormBody.ts"
import { BadBody, UnsupportedMediaType } from "./Problem.ts"
import * as RequestContext from "./RequestContext.ts"
import * as Responses from "./Responses.ts"
import * as Route from "./Route.ts"
import * as Schemas from "./Schemas.ts"

const Upload = Schema.Struct({
  bytes: Schema.String.check(Schema.isBase64()),
  mediaType: MediaType,
  name: Schema.optionalKey(Name)
}).annotate({ identifier: "Upload" })

const Form = Schema.Struct({ file: Schema.String.annotate({ format: "binary" }) }).pipe(HttpApiSchema.asMultipart())

const fileOf = Effect.fnUntraced(function*(
  context: RequestContext.RequestContext
): Effect.fn.Return<NewFile, RequestContext.BodyRefusal | UnsupportedMediaType> {
  const { "content-type": mediaType = "" } = context.request.headers
  if (FormBody.isForm(context.request)) {
    const [part, ...more] = yield* FormBody.read(context)
    if (part === undefined || !("file" in part) || more.length > 0) {
      return yield* new BadBody({ detail: "the form must have one part, which is a file" })
    }
    return part.file
  }
  if (!/^\s*application\/json\s*(;|$)/iu.test(mediaType)) {
    return yield* new UnsupportedMediaType({ mediaType, accepted: [FormBody.mediaType, "application/json"] })
  }
  const { bytes, ...about } = yield* RequestContext.bodyAs(context, Upload)
  return { ...about, bytes: Result.getOrElse(Base64.decode(bytes), () => new Uint8Array()) }
})

const described = ({ fileId, mediaType, name, size }: Stored): typeof Schemas.StoredFile.Type => ({
  fileId,
  mediaType,
  ...(name === undefined ? {} : { name }),
  size
})

const upload = RequestContext.handle(Effect.fnUntraced(function*(context) {
  const stored = yield* context.runtime.upload(context.caller, yield* fileOf(context))
  return HttpServerResponse.jsonUnsafe(described(stored), {
    status: 201,
    headers: { location: `/files/${stored.fileId}` }
  })
}))

const download = RequestContext.handle(Effect.fnUntraced(function*(context) {
  const { bytes, mediaType, name } = yield* context.runtime.file(
    context.caller,
    RequestContext.param(context, "fileId")
  )
  return HttpServerResponse.uint8Array(bytes, {
    contentType: mediaType,
    headers: { "content-disposition": dispositionOf(name) }
  })
}))

/** A name with other letters than ASCII is encoded by RFC 8187, beside one that every client reads. */
const dispositionOf = (name: string | undefined): string => {
  if (name === undefined) return "attachment"
  const plain = name.replaceAll(/[^\x20-\x7e]|["\\%]/gu, "_")
  const encoded = encodeURIComponent(name).replaceAll(/['()*]/gu, (char) => `%${char.charCodeAt(0).toString(16)}`)
  return `attachment; filename="${plain}"${plain === name ? "" : `; filename*=UTF-8''${encoded}`}`
}

export const routes: ReadonlyArray<Route.Route> = [
  Route.make(
    "files",
    HttpApiEndpoint.post("upload", "/files", {
      payload: [Upload, Form],
      success: Schemas.StoredFile.annotate({ httpApiStatus: 201 }),
      error: Responses.problems(...Responses.refusals, 501)
    }).annotateMerge(Responses.summary("Store a file of the caller")),
    upload
  ),
  Route.make(
    "files",
    HttpApiEndpoint.get("download", "/files/:fileId", {
      params: { fileId: FileId },
      success: HttpApiSchema.StreamUint8Array(),
      error: Responses.problems(...Responses.refusals, 404)
    }).annotateMerge(Responses.summary("A file of the caller, as a download")),
    download
  )
]
