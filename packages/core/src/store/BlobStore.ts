/**
 * The port to large values: immutable bytes under the hash of their content.
 *
 * @since 0.1.0
 */
import { Clock, Context, Effect, Layer, Schema } from "effect"
import { StoreUnavailable } from "../run/RunError.ts"

/** The store has no blob under this key. @category errors @since 0.1.0 */
export class BlobNotFound extends Schema.TaggedError<BlobNotFound>()("BlobNotFound", {
  key: Schema.String
}, { httpApiStatus: 404 }) {}

/** The bytes under this key are not the bytes that were stored. @category errors @since 0.1.0 */
export class BlobDamaged extends Schema.TaggedError<BlobDamaged>()("BlobDamaged", {
  key: Schema.String
}, { httpApiStatus: 500 }) {}

/** A blob that is there: how large it is, and when it was written last, in Unix milliseconds. @category models @since 0.1.0 */
export interface Listed {
  readonly key: string
  readonly bytes: number
  readonly at: number
}

/** @category services @since 0.1.0 */
export class BlobStore extends Context.Service<BlobStore, {
  /** Keeps the bytes, durably, and answers with their key: the same for the same bytes, however often they come. */
  readonly put: (bytes: Uint8Array) => Effect.Effect<string, StoreUnavailable>
  /** The bytes, checked against their key. */
  readonly get: (key: string) => Effect.Effect<Uint8Array, BlobNotFound | BlobDamaged | StoreUnavailable>
  /** The first bytes of a blob, unchecked; nothing when it is not there. */
  readonly start: (key: string, length: number) => Effect.Effect<Uint8Array | undefined, StoreUnavailable>
  readonly has: (key: string) => Effect.Effect<boolean, StoreUnavailable>
  /** Blobs in the order of their keys, those behind `after`; none at the end. Other files are not listed. */
  readonly list: (after: string) => Effect.Effect<ReadonlyArray<Listed>, StoreUnavailable>
  /** It does not matter whether it was there. */
  readonly remove: (key: string) => Effect.Effect<void, StoreUnavailable>
}>()("@fastagentic/core/store/BlobStore") {}

/**
 * The storage for a store's blobs. The keys that come here are well formed, and bytes need not be checked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Backend {
  /** Writes all or nothing, over whatever is there. */
  readonly write: (key: string, bytes: Uint8Array) => Effect.Effect<void, StoreUnavailable>
  readonly read: (key: string) => Effect.Effect<Uint8Array | undefined, StoreUnavailable>
  readonly start: (key: string, length: number) => Effect.Effect<Uint8Array | undefined, StoreUnavailable>
  readonly list: (after: string) => Effect.Effect<ReadonlyArray<Listed>, StoreUnavailable>
  readonly has: (key: string) => Effect.Effect<boolean, StoreUnavailable>
  readonly remove: (key: string) => Effect.Effect<void, StoreUnavailable>
}

/**
 * A store that gives keys and checks content, wherever the bytes are.
 *
 * **Details**
 *
 * A key is the SHA-256 of the bytes in 64 hexadecimal digits. No other key is ever read.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (place: Backend): BlobStore["Service"] =>
  BlobStore.of({
    put: Effect.fnUntraced(function*(bytes) {
      // The caller may change its array afterwards, so the blob gets a copy.
      const own = bytes.slice()
      const key = yield* keyOf(own)
      yield* place.write(key, own)
      return key
    }),
    get: Effect.fnUntraced(function*(key) {
      const bytes = isKey(key) ? yield* place.read(key) : undefined
      if (bytes === undefined) return yield* new BlobNotFound({ key })
      if ((yield* keyOf(bytes)) !== key) return yield* new BlobDamaged({ key })
      return bytes
    }),
    start: (key, length) => isKey(key) ? place.start(key, length) : Effect.undefined,
    list: place.list,
    has: (key) => isKey(key) ? place.has(key) : Effect.succeed(false),
    remove: (key) => isKey(key) ? place.remove(key) : Effect.void
  })

/**
 * Everything in memory, for as long as the process lives.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<BlobStore> = Layer.sync(BlobStore, () => makeMemory())

/** @category constructors @since 0.1.0 */
export const makeMemory = (): BlobStore["Service"] => {
  const blobs = new Map<string, { readonly bytes: Uint8Array; readonly at: number }>()
  return make({
    write: (key, bytes) => Effect.map(Clock.currentTimeMillis, (at) => void blobs.set(key, { bytes, at })),
    read: (key) => Effect.sync(() => blobs.get(key)?.bytes.slice()),
    start: (key, length) => Effect.sync(() => blobs.get(key)?.bytes.slice(0, length)),
    list: (after) =>
      Effect.sync(() =>
        Array.from(blobs, ([key, { at, bytes }]) => ({ key, at, bytes: bytes.length }))
          .filter(({ key }) => key > after)
          .sort((a, b) => a.key < b.key ? -1 : 1)
      ),
    has: (key) => Effect.sync(() => blobs.has(key)),
    remove: (key) => Effect.sync(() => void blobs.delete(key))
  })
}

/** Whether a name is one that a blob can have. @category guards @since 0.1.0 */
export const isKey = (key: string): boolean => /^[0-9a-f]{64}$/.test(key)

/** The same bytes in memory that is not shared, which is all that a digest takes; large ones are not copied for it. */
const plain = ({ buffer, byteLength, byteOffset }: Uint8Array<ArrayBufferLike>) =>
  buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer, byteOffset, byteLength)
    : new Uint8Array(new Uint8Array(buffer, byteOffset, byteLength))

/** The key that bytes have. @category conversions @since 0.1.0 */
export const keyOf = (bytes: Uint8Array<ArrayBufferLike>): Effect.Effect<string, StoreUnavailable> =>
  Effect.map(
    Effect.tryPromise({
      try: () => globalThis.crypto.subtle.digest("SHA-256", plain(bytes)),
      catch: (cause) => new StoreUnavailable({ operation: "hash a blob", cause })
    }),
    (digest) => Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")
  )
