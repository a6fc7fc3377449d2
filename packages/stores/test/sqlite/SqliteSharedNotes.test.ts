import { suite } from "@fastagentic/core/testing/contract/SharedNotesContract"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SqliteClient, SqliteSharedNotes } from "../../src/sqlite/index.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "notes-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

suite(
  "SqliteSharedNotes",
  Effect.map(
    folder,
    (path) => Layer.provide(SqliteSharedNotes.layerNoClient, SqliteClient.layer({ filename: join(path, "notes.db") }))
  )
)
