/**
 * Blobs in a bucket of S3 or of a server that speaks its protocol.
 *
 * @since 0.1.0
 */
import * as Timings from "@fastagentic/core/base/Timings"
import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import * as BlobStore from "@fastagentic/core/store/BlobStore"
import { AwsV4Signer } from "aws4fetch"
import { Data, type Duration, Effect, Layer, Redacted, Schedule } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"

/**
 * @category options
 * @since 0.1.0
 */
export interface Options {
  readonly bucket: string
  readonly region: string
  /** `https://storage.example.com`. The bucket is then in the path; without it, in the name of Amazon's host. */
  readonly endpoint?: string | undefined
  readonly accessKeyId: string
  readonly secretAccessKey: Redacted.Redacted
  readonly sessionToken?: Redacted.Redacted | undefined
  /** The prefix of every key in the bucket, for example `blobs/`. */
  readonly prefix?: string | undefined
  /** How long one attempt may take. Defaults to 30 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * A blob store on a given `HttpClient`.
 *
 * **Details**
 *
 * A key is the hash of its blob, which the signature covers: the server refuses bytes that changed in transit. A blob
 * never changes, so no request needs a condition and each can be repeated. Attempts that end in a 5xx, a 429, a timeout
 * or a lost connection are repeated up to four times.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(options: Options) {
  const client = yield* HttpClient.HttpClient
  const send = (object: ObjectRequest) =>
    Effect.flatMap(signed(options, object), (request) => client.execute(request)).pipe(
      Effect.flatMap((response) => Effect.map(response.arrayBuffer, (body) => ({ status: response.status, body }))),
      Effect.provideService(Headers.CurrentRedactedNames, ["authorization", "x-amz-security-token"]),
      // Drops the request from the error, so that its credentials get into no log or span.
      Effect.mapError((error) => error._tag === "Unanswered" ? error : new Unanswered({ message: error.reason._tag })),
      Effect.timeoutOrElse({
        duration: options.timeout ?? Timings.storeRequestMillis,
        orElse: () => Effect.fail(new Unanswered({ message: "no answer in time" }))
      }),
      Effect.flatMap((answer) =>
        isTemporary(answer.status)
          ? Effect.fail(new Unanswered({ message: errorCode(answer) }))
          : Effect.succeed(answer)
      ),
      Effect.retry({ schedule: retryDelays, times: 4 })
    )

  /** The body of a success, or undefined where there is no such blob. */
  const request = (operation: string, object: ObjectRequest) =>
    send(object).pipe(
      Effect.flatMap((answer) => {
        const { status } = answer
        if (status >= 200 && status < 300) return Effect.succeed(new Uint8Array(answer.body))
        const isMissing = object.name.length > 0 && object.method !== "PUT" &&
          !errorCode(answer).includes("NoSuchBucket")
        // An empty object has no range.
        if (isMissing && (status === 404 || status === 416)) return Effect.undefined
        return Effect.fail(new Unanswered({ message: errorCode(answer) }))
      }),
      Effect.mapError((cause) => new StoreUnavailable({ operation, cause }))
    )
  const prefix = options.prefix ?? ""
  const toObject = (method: Method, key: string) => ({ method, name: `${encoded(prefix)}${key}` })

  /** Reads on while a page contains no blob. */
  const list = Effect.fnUntraced(function*(after: string) {
    const page = { "list-type": "2", prefix, delimiter: "/" }
    for (let from: Record<string, string> = { "start-after": `${prefix}${after}` };;) {
      const search = `?${new URLSearchParams({ ...page, ...from })}`
      const xml = new TextDecoder().decode(yield* request("list blobs", { method: "GET", name: "", search }))
      const found = listed(xml, prefix)
      const next = fieldOf(xml, "NextContinuationToken")
      if (found.length > 0 || next === "") return found
      from = { "continuation-token": next }
    }
  })

  return BlobStore.make({
    write: (key, bytes) =>
      Effect.asVoid(
        request(`put blob ${key}`, { ...toObject("PUT", key), bytes, headers: { "x-amz-content-sha256": key } })
      ),
    read: (key) => request(`get blob ${key}`, toObject("GET", key)),
    start: (key, length) =>
      request(`get the start of blob ${key}`, { ...toObject("GET", key), headers: { range: `bytes=0-${length - 1}` } }),
    list,
    has: (key) => Effect.map(request(`look for blob ${key}`, toObject("HEAD", key)), (found) => found !== undefined),
    remove: (key) => Effect.asVoid(request(`remove blob ${key}`, toObject("DELETE", key)))
  })
})

/**
 * **Example** (Keeping large values in a bucket)
 *
 * ```ts
 * import { S3BlobStore } from "@fastagentic/stores/blob"
 * import { Redacted } from "effect"
 *
 * const Blobs = S3BlobStore.layer({
 *   bucket: "acme-blobs",
 *   region: "eu-central-1",
 *   accessKeyId: "AKIA…",
 *   secretAccessKey: Redacted.make("…")
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<BlobStore.BlobStore> =>
  Layer.provide(layerNoClient(options), FetchHttpClient.layer)

/**
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient = (options: Options): Layer.Layer<BlobStore.BlobStore, never, HttpClient.HttpClient> =>
  Layer.effect(BlobStore.BlobStore, make(options))

// requests

type Method = "GET" | "HEAD" | "PUT" | "DELETE"

/** A request for an object; without a name, for the bucket itself. */
interface ObjectRequest {
  readonly method: Method
  readonly name: string
  readonly search?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly bytes?: Uint8Array
}

const signed = Effect.fnUntraced(
  function*(options: Options, { bytes, headers: own = {}, method, name, search = "" }: ObjectRequest) {
    const { headers, url } = yield* Effect.tryPromise({
      try: () =>
        new AwsV4Signer({
          method,
          url: `${base(options)}/${name}${search}`,
          headers: { ...own },
          accessKeyId: options.accessKeyId,
          secretAccessKey: Redacted.value(options.secretAccessKey),
          ...(options.sessionToken === undefined ? {} : { sessionToken: Redacted.value(options.sessionToken) }),
          service: "s3",
          region: options.region
        }).sign(),
      catch: () => new Unanswered({ message: "the request cannot be signed" })
    })
    const request = HttpClientRequest.make(method)(url, { headers: Object.fromEntries(headers) })
    return bytes === undefined ? request : HttpClientRequest.bodyUint8Array(request, bytes)
  }
)

const encoded = (prefix: string) => prefix.split("/").map(encodeURIComponent).join("/")

/** The URL of the bucket; a name with a dot goes into the path, because the wildcard certificate does not cover it. */
const base = ({ bucket, endpoint, region }: Options) => {
  if (endpoint !== undefined) return `${endpoint.replace(/\/+$/, "")}/${bucket}`
  return bucket.includes(".")
    ? `https://s3.${region}.amazonaws.com/${bucket}`
    : `https://${bucket}.s3.${region}.amazonaws.com`
}

// answers

interface Answer {
  readonly status: number
  readonly body: ArrayBuffer
}

/** A failed request; its message is the server's error code and nothing else of its answer. */
class Unanswered extends Data.TaggedError("Unanswered")<{ readonly message: string }> {}

const errorCode = ({ body, status }: Answer) => {
  const [, code = ""] = /<Code>(\w+)<\/Code>/.exec(new TextDecoder().decode(body.slice(0, 2_048))) ?? []
  return `${status} ${code}`.trim()
}

/** The blobs directly under the prefix. */
const listed = (xml: string, prefix: string): ReadonlyArray<BlobStore.Listed> =>
  [...xml.matchAll(/<Contents>(.*?)<\/Contents>/gsu)].flatMap(([, content = ""]) => {
    const name = fieldOf(content, "Key")
    const key = name.slice(prefix.length)
    if (!name.startsWith(prefix) || !BlobStore.isKey(key)) return []
    return [{ key, bytes: Number(fieldOf(content, "Size")), at: Date.parse(fieldOf(content, "LastModified")) }]
  })

const fieldOf = (xml: string, name: string) =>
  unescaped(new RegExp(`<${name}>(.*?)</${name}>`, "su").exec(xml)?.[1] ?? "")

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: "\"", apos: "'" }

const unescaped = (text: string) =>
  text.replace(
    /&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/giu,
    (all, hex?: string, decimal?: string, name = "") =>
      hex === undefined && decimal === undefined
        ? entities[name] ?? all
        : String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16))
  )

const isTemporary = (status: number) => status >= 500 || status === 429

const retryDelays = Schedule.exponential("100 millis").pipe(Schedule.jittered)
