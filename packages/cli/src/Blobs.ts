/**
 * The place of large values of runs: the variable `FASTAGENTIC_BLOBS`, as a layer.
 *
 * @since 0.1.0
 */
import { BlobStore, RunError } from "@fastagentic/core"
import { Config, Effect, Layer, Option, Schema } from "effect"

/** The value is neither a folder nor a bucket. @category errors @since 0.1.0 */
export class UnknownPlace extends Schema.TaggedError<UnknownPlace>()("UnknownPlace", {}) {
  override get message() {
    return "it names a folder, or a bucket as s3://bucket/prefix"
  }
}

/** @category models @since 0.1.0 */
export interface Blobs {
  readonly blobs: Layer.Layer<BlobStore.BlobStore, unknown>
  /** The size in characters from which a value is kept there. */
  readonly threshold?: number
}

/**
 * A folder; `s3://bucket/prefix`, with the credentials of Amazon's standard environment variables; or, when the variable is
 * unset, a folder beside the store's file. A store without a file keeps values itself.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = Effect.fnUntraced(function*(
  file: string | undefined
): Effect.fn.Return<Blobs, Config.ConfigError | UnknownPlace> {
  const place = yield* Config.withDefault(Config.String("FASTAGENTIC_BLOBS"), "")
  if (place.startsWith("s3://")) return { blobs: yield* bucket(place) }
  if (place !== "") return { blobs: folder(place) }
  if (file === ":memory:") return { blobs: BlobStore.layerMemory }
  return file === undefined ? { blobs: nowhere, threshold: Infinity } : { blobs: folder(`${file}.blobs`) }
})

const folder = (folder: string) =>
  Layer.unwrap(
    Effect.map(Effect.promise(() => import("@fastagentic/stores/blob")), ({ FileBlobStore }) =>
      FileBlobStore.layer({ folder }))
  )

const bucket = Effect.fnUntraced(function*(place: string) {
  const { name, prefix } = yield* Effect.try({ try: () => bucketOf(new URL(place)), catch: () => new UnknownPlace() })
  if (name === "") return yield* new UnknownPlace()
  const { endpoint, sessionToken, ...credentials } = yield* Config.all({
    region: Config.withDefault(Config.String("AWS_REGION"), "us-east-1"),
    accessKeyId: Config.String("AWS_ACCESS_KEY_ID"),
    secretAccessKey: Config.Redacted("AWS_SECRET_ACCESS_KEY"),
    sessionToken: Config.option(Config.Redacted("AWS_SESSION_TOKEN")),
    endpoint: Config.option(Config.String("AWS_ENDPOINT_URL_S3"))
  })
  const options = {
    ...credentials,
    bucket: name,
    endpoint: Option.getOrUndefined(endpoint),
    sessionToken: Option.getOrUndefined(sessionToken),
    ...(prefix === "" ? {} : { prefix: `${prefix}/` })
  }
  return Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("@fastagentic/stores/blob")),
      ({ S3BlobStore }) => S3BlobStore.layer(options)
    )
  )
})

const bucketOf = ({ hostname, pathname }: URL) => ({
  name: hostname,
  prefix: decodeURIComponent(pathname.replace(/^\/+|\/+$/gu, ""))
})

/** The nodes of one store share no known folder. */
const unset = Effect.fail(
  new RunError.StoreUnavailable({ operation: "a value of this run is a blob, and FASTAGENTIC_BLOBS is not set" })
)
const nowhere = Layer.succeed(
  BlobStore.BlobStore,
  BlobStore.make({
    write: () => unset,
    read: () => unset,
    start: () => unset,
    // A store without blobs has nothing to sweep.
    list: () => Effect.succeed([]),
    has: () => unset,
    remove: () => unset
  })
)
