/**
 * Blobs in a folder.
 *
 * @since 0.1.0
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import * as BlobStore from "@fastagentic/core/store/BlobStore"
import { Effect, FileSystem, Layer, Option } from "effect"
import type { PlatformError } from "effect"

/**
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Created when missing. Nodes may share it where the file system renames atomically. */
  readonly folder: string
}

/**
 * A blob store on a given `FileSystem`.
 *
 * **Details**
 *
 * A blob is written to a temporary file, flushed to the disk, and renamed, so that its file is complete or absent. The
 * first two digits of a key name one of 256 folders. A start removes unfinished files that are older than an hour.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*({ folder }: Options) {
  const files = yield* FileSystem.FileSystem
  const unfinished = `${folder}/unfinished`
  const shard = (key: string) => `${folder}/${key.slice(0, 2)}`
  const file = (key: string) => `${shard(key)}/${key}`

  yield* files.makeDirectory(unfinished, { recursive: true, mode: 0o700 })
  yield* removeOld(files, unfinished)

  const write = Effect.fnUntraced(function*(key: string, bytes: Uint8Array) {
    const temporary = `${unfinished}/${globalThis.crypto.randomUUID()}`
    yield* files.makeDirectory(shard(key), { recursive: true, mode: 0o700 })
    yield* Effect.gen(function*() {
      yield* Effect.scoped(writeAndFlush(files, temporary, bytes))
      yield* files.rename(temporary, file(key))
    }).pipe(Effect.onError(() => Effect.ignore(files.remove(temporary))))
    yield* flushFolder(files, shard(key))
    yield* flushFolder(files, folder)
  })

  const start = (key: string, length: number) =>
    Effect.scoped(Effect.flatMap(files.open(file(key), { flag: "r" }), (open) => open.readAlloc(length))).pipe(
      Effect.map(Option.getOrElse(() => new Uint8Array()))
    )

  const blobsIn = Effect.fnUntraced(function*(shard: string, after: string) {
    const names = (yield* orMissing(files.readDirectory(`${folder}/${shard}`))) ?? []
    const keys = names.filter((name) => BlobStore.isKey(name) && name.startsWith(shard) && name > after).sort()
    const found = yield* Effect.forEach(
      keys,
      (key) =>
        Effect.map(orMissing(files.stat(file(key))), (info) =>
          info?.type === "File" && Option.isSome(info.mtime)
            ? [{ key, bytes: Number(info.size), at: info.mtime.value.getTime() }]
            : []),
      { concurrency: 8 }
    )
    return found.flat()
  })

  /** A page is a folder. */
  const list = Effect.fnUntraced(function*(after: string) {
    const shards = (yield* files.readDirectory(folder)).filter((name) => /^[0-9a-f]{2}$/u.test(name)).sort()
    for (const shard of shards) {
      const found = shard < after.slice(0, 2) ? [] : yield* blobsIn(shard, after)
      if (found.length > 0) return found
    }
    return []
  })

  return BlobStore.make({
    start: (key, length) => start(key, length).pipe(orMissing, unavailable(`get the start of blob ${key}`)),
    list: (after) => unavailable("list blobs")(list(after)),
    write: (key, bytes) => unavailable(`put blob ${key}`)(write(key, bytes)),
    read: (key) => files.readFile(file(key)).pipe(orMissing, unavailable(`get blob ${key}`)),
    has: (key) => unavailable(`look for blob ${key}`)(files.exists(file(key))),
    remove: (key) => files.remove(file(key)).pipe(orMissing, Effect.asVoid, unavailable(`remove blob ${key}`))
  })
})

/**
 * **Example** (Keeping large values in files)
 *
 * ```ts
 * import { FileBlobStore } from "@fastagentic/stores/blob"
 *
 * const Blobs = FileBlobStore.layer({ folder: "./data/blobs" })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<BlobStore.BlobStore, PlatformError.PlatformError> =>
  Layer.effect(BlobStore.BlobStore, make(options)).pipe(Layer.provide(NodeFileSystem.layer))

const writeAndFlush = Effect.fnUntraced(function*(files: FileSystem.FileSystem, path: string, bytes: Uint8Array) {
  const open = yield* files.open(path, { flag: "wx", mode: 0o600 })
  yield* open.writeAll(bytes)
  yield* open.sync
})

/**
 * Flushes a folder, because a file's name is durable only with it. Systems that cannot open a folder do this
 * themselves.
 */
const flushFolder = (files: FileSystem.FileSystem, path: string) =>
  Effect.scoped(Effect.flatMap(files.open(path, { flag: "r" }), (open) => open.sync)).pipe(
    Effect.catchIf(
      ({ reason }) => reason._tag === "PermissionDenied" || reason._tag === "BadResource",
      () => Effect.void
    )
  )

const HOUR = 3_600_000

const removeOld = Effect.fnUntraced(function*(files: FileSystem.FileSystem, folder: string) {
  const now = Date.now()
  for (const name of yield* files.readDirectory(folder)) {
    const path = `${folder}/${name}`
    const { mtime } = yield* files.stat(path)
    if (mtime._tag === "Some" && now - mtime.value.getTime() > HOUR) yield* Effect.ignore(files.remove(path))
  }
})

const orMissing = <A>(effect: Effect.Effect<A, PlatformError.PlatformError>) =>
  Effect.catchIf(effect, ({ reason }) => reason._tag === "NotFound", () => Effect.undefined)

const unavailable = (operation: string) => <A>(effect: Effect.Effect<A, PlatformError.PlatformError>) =>
  Effect.mapError(effect, (cause) => new StoreUnavailable({ operation, cause }))
