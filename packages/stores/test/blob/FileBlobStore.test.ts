import { assert, describe, it } from "@effect/vitest"
import { BlobStore } from "@fastagentic/core/store/BlobStore"
import { suite } from "@fastagentic/core/testing/contract/BlobStoreContract"
import { Effect, Layer } from "effect"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { FileBlobStore } from "../../src/blob/index.ts"

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "blobs-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const opened = <A, E>(folder: string, use: (store: BlobStore["Service"]) => Effect.Effect<A, E>) =>
  BlobStore.use(use).pipe(Effect.provide(FileBlobStore.layer({ folder }), { local: true }))

const bytes = new TextEncoder().encode("content")

suite(
  "FileBlobStore",
  Layer.unwrap(Effect.map(temporaryFolder, (folder) => FileBlobStore.layer({ folder: join(folder, "new", "blobs") })))
)

describe("FileBlobStore", () => {
  it.effect("stores each blob in a file of its key, over a restart, and nothing else", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const key = yield* opened(folder, (store) => store.put(bytes))
      assert.deepStrictEqual(Uint8Array.from(readFileSync(join(folder, key.slice(0, 2), key))), bytes)
      assert.deepStrictEqual(readdirSync(folder).sort(), [key.slice(0, 2), "unfinished"].sort())
      assert.deepStrictEqual(readdirSync(join(folder, "unfinished")), [])
      assert.deepStrictEqual(Uint8Array.from(yield* opened(folder, (store) => store.get(key))), bytes)
    }))

  it.effect("a damaged blob is BlobDamaged until it is written again", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      yield* opened(folder, (store) =>
        Effect.gen(function*() {
          const key = yield* store.put(bytes)
          for (const damage of ["", "contenT", "content and more"]) {
            writeFileSync(join(folder, key.slice(0, 2), key), damage)
            assert.containSubset(yield* Effect.flip(store.get(key)), { _tag: "BlobDamaged", key })
          }
          assert.strictEqual(yield* store.put(bytes), key)
          assert.deepStrictEqual(Uint8Array.from(yield* store.get(key)), bytes)
        }))
    }))

  it.effect("a blob that cannot be written fails and leaves no file", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      yield* opened(folder, (store) =>
        Effect.gen(function*() {
          const key = yield* store.put(bytes)
          yield* store.remove(key)
          rmSync(join(folder, key.slice(0, 2)), { recursive: true })
          writeFileSync(join(folder, key.slice(0, 2)), "a file where a folder has to be")
          assert.containSubset(yield* Effect.flip(store.put(bytes)), {
            _tag: "StoreUnavailable",
            operation: `put blob ${key}`
          })
          assert.deepStrictEqual(readdirSync(join(folder, "unfinished")), [])
        }))
    }))

  it.effect("removes old unfinished files of a crash", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      yield* opened(folder, () => Effect.void)
      const [old, fresh] = [join(folder, "unfinished", "old"), join(folder, "unfinished", "fresh")]
      for (const file of [old, fresh]) writeFileSync(file, "half")
      utimesSync(old, 1, 1)
      yield* opened(folder, () => Effect.void)
      assert.deepStrictEqual([existsSync(old), existsSync(fresh)], [false, true])
    }))
})
