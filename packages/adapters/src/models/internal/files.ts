// Files behind URLs in a prompt. A provider fetches those that its package says it can; the bytes of all others are sent, so
// that no package fetches them itself. request.ts calls it. A caller may choose such a URL, so the client has to be guarded.
import type { LanguageModelV4FilePart, LanguageModelV4Prompt, LanguageModelV4ToolResultOutput } from "@ai-sdk/provider"
import { Context, Effect, Layer, type Scope, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type { ProviderModel } from "../ProviderModel.ts"

/** The client that fetches a file. */
export type Files = Effect.Effect<HttpClient.HttpClient, never, Scope.Scope>

type Failure = AiError.InvalidUserInputError | AiError.NetworkError
type Contents = Extract<LanguageModelV4ToolResultOutput, { type: "content" }>["value"]
type File = LanguageModelV4FilePart | Extract<Contents[number], { type: "file" }>

/** The largest file, and the time for it. */
const largest = 20 * 1_048_576
const longest = "1 minute"

/** The most bytes of all files of one request. */
const together = 3 * largest

const concurrency = 4

/** A client that reaches the public network only; loaded when the first file needs it. */
export const guarded: Files = Effect.flatMap(
  Effect.promise(() => import("../../egress/Egress.ts")),
  ({ layer }) =>
    Effect.map(Layer.build(Layer.orDie(layer({ maxResponseSize: 2 * largest }))), Context.get(HttpClient.HttpClient))
)

/** The address of a file; it is shown without its query, which may hold a signature. */
const shown = ({ origin, pathname, protocol }: URL) => origin === "null" ? `${protocol}…` : `${origin}${pathname}`

const refused = (url: URL, problem: string) =>
  new AiError.InvalidUserInputError({ description: `The file at ${shown(url)} ${problem}.` })

/** A host that fails may answer the next time; a refusal is final. */
const failureOf = (url: URL, { reason }: HttpClientError.HttpClientError): Failure => {
  const status = reason._tag === "StatusCodeError" ? reason.response.status : undefined
  if (status !== undefined && status < 500 && status !== 429) return refused(url, `cannot be read: HTTP ${status}`)
  const cause = "cause" in reason && reason.cause instanceof Error ? reason.cause : undefined
  if (cause?.name === "EgressRefused") return refused(url, `is not fetched: ${cause.message}`)
  const description = `The file at ${shown(url)} could not be read${status === undefined ? "" : `: HTTP ${status}`}.`
  return new AiError.NetworkError({ reason: "TransportError", description, method: "GET", url: shown(url) })
}

const download = Effect.fnUntraced(function*(url: URL, files: Files) {
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return yield* refused(url, "has an address that this model's provider does not read")
  }
  const client = yield* files
  const response = yield* client.get(url)
  if (response.status !== 200) {
    return yield* new HttpClientError.HttpClientError({
      reason: new HttpClientError.StatusCodeError({ request: response.request, response })
    })
  }
  const chunks: Array<Uint8Array> = []
  let size = 0
  yield* Stream.runForEach(response.stream, (chunk) => {
    size += chunk.length
    chunks.push(chunk)
    return size > largest ? Effect.fail(refused(url, `has more than ${largest / 1_048_576} MiB`)) : Effect.void
  })
  return { bytes: new Uint8Array(Buffer.concat(chunks)), type: response.headers["content-type"]?.split(";")[0] }
}, (effect, url) =>
  Effect.scoped(effect).pipe(
    Effect.provideService(HttpClient.TracerPropagationEnabled, false),
    Effect.timeoutOrElse({
      duration: longest,
      orElse: () => Effect.fail(refused(url, `did not arrive within ${longest}`))
    }),
    Effect.mapError((error) => error._tag === "HttpClientError" ? failureOf(url, error) : error)
  ))

type Supported = Awaited<ProviderModel["supportedUrls"]>

const isSupported = (supported: Supported, mediaType: string, url: URL) =>
  Object.entries(supported).some(([type, patterns]) =>
    (type === "*" || type === "*/*" || type === mediaType ||
      (type.endsWith("/*") && mediaType.startsWith(type.slice(0, -1)))) &&
    patterns.some((pattern) => pattern.test(url.href))
  )

const filesIn = (prompt: LanguageModelV4Prompt): ReadonlyArray<File> => {
  const found: Array<File> = []
  for (const message of prompt) {
    if (message.role === "system") continue
    for (const part of message.content) {
      if (part.type === "file") found.push(part)
      if (part.type !== "tool-result" || part.output.type !== "content") continue
      for (const one of part.output.value) if (one.type === "file") found.push(one)
    }
  }
  return found
}

/** Puts the bytes of files that the provider does not fetch into a prompt that was made for this request alone. */
export const fetchFiles = Effect.fnUntraced(function*(
  prompt: LanguageModelV4Prompt,
  model: Pick<ProviderModel, "supportedUrls">,
  files: Files
): Effect.fn.Return<void, Failure> {
  const named = filesIn(prompt).filter(({ data }) => data.type === "url")
  if (named.length === 0) return
  const supported = yield* Effect.promise(async () => await model.supportedUrls)
  let total = 0
  yield* Effect.forEach(named, (file) => {
    const { data, mediaType } = file
    if (data.type !== "url" || isSupported(supported, mediaType, data.url)) return Effect.void
    return Effect.flatMap(download(data.url, files), ({ bytes, type = mediaType }) => {
      total += bytes.length
      file.data = { type: "data", data: bytes }
      if (!/^[^*/]+\/[^*/]+$/u.test(mediaType)) file.mediaType = type
      return total > together
        ? Effect.fail(refused(data.url, `is too much: the files of a prompt have ${together / 1_048_576} MiB together`))
        : Effect.void
    })
  }, { concurrency, discard: true })
})
