import { assert, describe, it } from "@effect/vitest"
import { Audit } from "@fastagentic/core/Audit"
import { RunStore } from "@fastagentic/core/RunStore"
import { Effect } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Sqlite, SqliteClient } from "../../src/sqlite/index.ts"

const temporaryFile = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "sqlite-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  ),
  (folder) => join(folder, "acme.db")
)

describe("Sqlite", () => {
  it.effect("is every store of one file, which is its own", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const read = Effect.gen(function*() {
        assert.deepStrictEqual(yield* (yield* RunStore).unfinished, [])
        assert.deepStrictEqual(yield* (yield* Audit).page({ tenant: "acme", limit: 1 }), [])
      })
      const again = Effect.provide(read, Sqlite.layer({ filename }), { local: true })
      yield* Effect.gen(function*() {
        yield* read
        assert.strictEqual((yield* Effect.flip(again))._tag, "SqliteLocked")
      }).pipe(Effect.provide(Sqlite.layer({ filename }), { local: true }))
      yield* again
    }))

  it.effect("shares its file when it is told to", () =>
    Effect.gen(function*() {
      const options = { filename: yield* temporaryFile, exclusive: false }
      const read = RunStore.use((store) => store.unfinished)
      const again = Effect.provide(read, Sqlite.layer(options), { local: true })
      assert.deepStrictEqual(
        yield* Effect.andThen(read, again).pipe(Effect.provide(Sqlite.layer(options), { local: true })),
        []
      )
    }))

  it.effect("leaves a file of another version alone", () =>
    Effect.gen(function*() {
      const options = { filename: yield* temporaryFile, exclusive: false }
      const use = Effect.provide(RunStore.use((store) => store.unfinished), Sqlite.layer(options), { local: true })
      yield* use
      yield* SqlClient.SqlClient.use((sql) => sql`INSERT INTO migrations (migration_id, name) VALUES (9999, 'later')`)
        .pipe(
          Effect.provide(SqliteClient.layer(options), { local: true })
        )
      assert.containSubset(yield* Effect.flip(use), { _tag: "MigrationError", kind: "BadState" })
    }))
})
