// The stores behind every suite of protocols: the projects of vitest.workspace.ts run each suite on memory and on SQLite,
// which answers later than memory and has a record that is ahead of what the process knows.
import { Audit, Files, RunBlobs, RunStore, SharedNotes } from "@fastagentic/core"
import { FileBlobStore } from "@fastagentic/stores/blob"
import { Sqlite } from "@fastagentic/stores/sqlite"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "protocols-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** The stores of a folder: a SQLite file, and its blobs beside it. */
export const sqliteIn = (path: string) =>
  Layer.orDie(
    RunBlobs.layer().pipe(
      Layer.provide(FileBlobStore.layer({ folder: join(path, "test.db.blobs") })),
      Layer.provideMerge(Sqlite.layer({ filename: join(path, "test.db") }))
    )
  )

const sqlite = Layer.unwrap(Effect.map(folder, sqliteIn))

const memory = Layer.mergeAll(
  RunStore.RunStore.layerMemory,
  Audit.layerMemory,
  Files.layerMemory,
  SharedNotes.SharedNotes.layerMemory
)

/** A file of its own for each time that it is built, or memory. */
export const layerStores: Layer.Layer<RunStore.RunStore | Audit.Audit | Files.Files | SharedNotes.SharedNotes> =
  process.env["TEST_STORE"] === "sqlite"
    ? sqlite
    : memory
