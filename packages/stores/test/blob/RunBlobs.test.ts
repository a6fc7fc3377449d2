import * as RunBlobs from "@fastagentic/core/store/RunBlobs"
import { suite } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { FileBlobStore } from "../../src/blob/index.ts"
import { SqliteClient, SqliteRunStore } from "../../src/sqlite/index.ts"
import { sideEffectSuite } from "../sql/sideEffectSuite.ts"
import { transactSuite } from "../sql/transactSuite.ts"

const files = Layer.unwrap(Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "run-blobs-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  ),
  (folder) => FileBlobStore.layer({ folder })
))

/** A threshold so low that nearly every value is a file. */
const store = RunBlobs.layer({ threshold: 20 }).pipe(
  Layer.provide(files),
  Layer.provideMerge(Layer.provideMerge(SqliteRunStore.layerNoClient, SqliteClient.layer({ filename: ":memory:" })))
)

suite("RunBlobs with files, before SQLite", store)
transactSuite(store)
sideEffectSuite(store)
