/**
 * The place of large values of runs: the variable `FASTAGENTIC_BLOBS`, as a layer.
 *
 * @since 0.1.0
 */
import { BlobStore, RunError } from "@fastagentic/core"
import { Config, Context, Effect, Layer, Option, Schema } from "effect"

/** The value is neither a folder nor a bucket. @category errors @since 0.1.0 */
export class UnknownPlace extends Schema.TaggedError<UnknownPlace>()("UnknownPlace", {}) {
  override get message() {
    return "it names a folder, or a bucket as s3://bucket/prefix"
  }
}

/** @category models @since 0.1.0 */
export interface Blobs<R> {
  readonly blobs: Layer.Layer<BlobStore.BlobStore, unknown, R>
  /** The size in characters from which a value of a run is kept there; files are always. */
  readonly threshold?: number
  /** Whether the store itself is the place. */
  readonly isInside?: true
}

/**
 * A folder; `s3://bucket/prefix`, with the credentials of Amazon's standard environment variables; or, when the variable is
 * unset, the store's own place.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = Effect.fnUntraced(function*<R>(
  own: Blobs<R>
): Effect.fn.Return<Blobs<R>, Config.ConfigError | UnknownPlace> {
  const place = yield* Config.withDefault(Config.String("FASTAGENTIC_BLOBS"), "")
  if (place === "") return own
  const named = place.startsWith("s3://") ? yield* bucket(place) : folder(place)
  return { blobs: own.isInside === true ? withEarlier(named, own.blobs) : named }
})

/** A place that was named later: what the store itself has kept until then is still found there, and goes with its run. */
const withEarlier = <R>(
  named: Layer.Layer<BlobStore.BlobStore, unknown>,
  own: Layer.Layer<BlobStore.BlobStore, unknown, R>
) =>
  Layer.effect(
    BlobStore.BlobStore,
    Effect.gen(function*() {
      const now = Context.get(yield* Layer.build(named), BlobStore.BlobStore)
      const earlier = Context.get(yield* Layer.build(own), BlobStore.BlobStore)
      return BlobStore.BlobStore.of({
        ...now,
        get: (key) => Effect.catchTag(now.get(key), "BlobNotFound", () => earlier.get(key)),
        start: (key, length) =>
          Effect.flatMap(
            now.start(key, length),
            (bytes) => bytes === undefined ? earlier.start(key, length) : Effect.succeed(bytes)
          ),
        has: (key) => Effect.flatMap(now.has(key), (isThere) => isThere ? Effect.succeed(true) : earlier.has(key)),
        remove: (key) => Effect.andThen(now.remove(key), earlier.remove(key))
      })
    })
  )

/** A folder beside the file of a store. @category constructors @since 0.1.0 */
export const beside = (file: string): Blobs<never> => ({
  blobs: file === ":memory:" ? BlobStore.layerMemory : folder(`${file}.blobs`)
})

/**
 * The store itself. It keeps values of runs with them unless they are so large that they have to be written and read in
 * pieces. A value that is a blob somewhere else is no damage of its run: the variable is missing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const inside: Blobs<BlobStore.BlobStore> = {
  blobs: Layer.effect(
    BlobStore.BlobStore,
    Effect.map(BlobStore.BlobStore, (store) =>
      BlobStore.BlobStore.of({
        ...store,
        get: (key) => Effect.catchTag(store.get(key), "BlobNotFound", () => Effect.fail(elsewhere))
      }))
  ),
  threshold: 1_048_576,
  isInside: true
}

const elsewhere = new RunError.StoreUnavailable({
  operation: "a value of this run is a blob, and FASTAGENTIC_BLOBS is not set"
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
