/**
 * Files of callers and runs, kept in the blob store: each belongs to its owner, and is kept while a run needs it.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer } from "effect"
import type { NewFile } from "../run/File.ts"
import { FilesUnavailable, type StoreUnavailable } from "../run/RunError.ts"
import * as BlobStore from "./BlobStore.ts"
import { fromBlob, holderOf, holdOf, lineLimit, toBlob } from "./internal/fileBlob.ts"

/** A stored file and its owner; `size` is its number of bytes. @category models @since 0.1.0 */
export interface Stored {
  readonly fileId: string
  readonly tenant: string
  readonly owner: string
  readonly mediaType: string
  readonly name?: string
  readonly size: number
}

/** @category models @since 0.1.0 */
export interface Owner {
  readonly tenant: string
  readonly owner: string
}

/** The name of a thread as the holder of its files. @category constructors @since 0.1.0 */
export const threadHolder = (thread: Owner & { readonly threadId: string }): string => holderOf(thread)

/** @category services @since 0.1.0 */
export class Files extends Context.Service<Files, {
  /** Whether files are kept at all. */
  readonly areKept: boolean
  /**
   * Stores a file; the same file of the same owner is stored once, and is as young as its last upload. `before` learns what
   * will be stored, before any of it is.
   */
  readonly put: (
    owner: Owner,
    file: NewFile,
    before?: (stored: Stored) => Effect.Effect<void>
  ) => Effect.Effect<Stored, FilesUnavailable | StoreUnavailable>
  readonly find: (fileId: string) => Effect.Effect<Stored | undefined, StoreUnavailable>
  readonly read: (fileId: string) => Effect.Effect<Uint8Array | undefined, StoreUnavailable>
  /** Keeps a file for as long as a run, or a thread (`threadHolder`), is kept; false when it is gone. */
  readonly hold: (holder: string, fileId: string) => Effect.Effect<boolean, StoreUnavailable>
}>()("@fastagentic/core/store/Files") {}

/**
 * Files of one store in a blob store; `identity` tells its files from those of another store in the same place.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  blobs: BlobStore.BlobStore["Service"],
  identity: Effect.Effect<string, StoreUnavailable>
): Files["Service"] =>
  Files.of({
    areKept: true,
    put: Effect.fnUntraced(function*({ owner, tenant }, { bytes, mediaType, name }, before) {
      const about = { tenant, owner, mediaType, ...(name === undefined ? {} : { name }), size: bytes.length }
      const blob = toBlob(yield* identity, about, bytes)
      if (blob === undefined) return yield* new FilesUnavailable()
      if (before !== undefined) yield* before({ fileId: yield* BlobStore.keyOf(blob), ...about })
      return { fileId: yield* blobs.put(blob), ...about }
    }),
    find: Effect.fnUntraced(function*(fileId) {
      const start = yield* blobs.start(fileId, lineLimit)
      const found = start === undefined ? undefined : fromBlob(yield* identity, start)
      return found === undefined ? undefined : { fileId, ...found.about }
    }),
    read: Effect.fnUntraced(function*(fileId) {
      const store = yield* identity
      const blob = yield* Effect.catchTags(blobs.get(fileId), {
        BlobNotFound: () => Effect.undefined,
        BlobDamaged: ({ key }) => Effect.as(Effect.logError("A stored file is damaged", { fileId: key }), undefined)
      })
      const found = blob === undefined ? undefined : fromBlob(store, blob)
      return found === undefined ? undefined : blob?.subarray(found.at)
    }),
    // The hold is written first: a sweep that has not seen it is then over, or the file is missing here.
    hold: Effect.fnUntraced(function*(holder, fileId) {
      yield* blobs.put(holdOf(yield* identity, holder, fileId))
      return yield* blobs.has(fileId)
    })
  })

/**
 * A server without a place for files: uploads are refused, and bytes that come with a call stay in its payload.
 *
 * @category constructors
 * @since 0.1.0
 */
export const none: Files["Service"] = Files.of({
  areKept: false,
  put: () => Effect.fail(new FilesUnavailable()),
  find: () => Effect.undefined,
  read: () => Effect.undefined,
  hold: () => Effect.succeed(false)
})

/** @category layers @since 0.1.0 */
export const layerNone: Layer.Layer<Files> = Layer.succeed(Files, none)

/** Files in memory, for as long as the process lives. @category layers @since 0.1.0 */
export const layerMemory: Layer.Layer<Files> = Layer.sync(
  Files,
  () => make(BlobStore.makeMemory(), Effect.succeed("memory"))
)

/**
 * Files that are only read: what is saved is gone afterwards, and has the id that it would have.
 *
 * @category constructors
 * @since 0.1.0
 */
export const readOnly = (
  files: Files["Service"],
  identity: Effect.Effect<string, StoreUnavailable>
): Files["Service"] => {
  const saved = make(BlobStore.makeMemory(), identity)
  const either = <A>(read: (from: Files["Service"]) => Effect.Effect<A | undefined, StoreUnavailable>) =>
    Effect.flatMap(read(saved), (found) => found === undefined ? read(files) : Effect.succeed(found))
  return Files.of({
    areKept: files.areKept,
    put: (...file) => files.areKept ? saved.put(...file) : files.put(...file),
    find: (fileId) => either((from) => from.find(fileId)),
    read: (fileId) => either((from) => from.read(fileId)),
    hold: () => Effect.succeed(true)
  })
}
