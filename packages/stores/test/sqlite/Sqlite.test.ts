import { assert, describe, it } from "@effect/vitest"
import { Audit } from "@fastagentic/core/audit/Audit"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Effect, Layer } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { chmodSync, mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { Sqlite, SqliteAudit, SqliteClient, SqliteFile } from "../../src/sqlite/index.ts"
import { admit } from "../writes.ts"

const temporaryFile = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "sqlite-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  ),
  (folder) => join(folder, "acme.db")
)

describe("Sqlite", () => {
  it.effect("provides every store of one file, and locks it", () =>
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

  it.effect("keeps its files and folders for its user alone, also those of an earlier version", () =>
    Effect.gen(function*() {
      const filename = join(dirname(yield* temporaryFile), "data", "acme.db")
      const modes = () =>
        [dirname(filename), filename, `${filename}-wal`].map((path) => (statSync(path).mode & 0o777).toString(8))
      const use = RunStore.use((store) => store.write([admit(makeRun())]).pipe(Effect.as(modes())))
      const once = Effect.provide(use, Sqlite.layer({ filename }), { local: true })
      assert.deepStrictEqual(yield* once, ["700", "600", "600"])
      chmodSync(filename, 0o644)
      assert.deepStrictEqual(yield* once, ["700", "600", "600"])
      const copied = join(dirname(filename), "copy.db")
      yield* SqliteFile.SqliteFile.use(({ copyTo }) => copyTo(copied)).pipe(
        Effect.provide(SqliteClient.layer({ filename }), { local: true })
      )
      assert.strictEqual((statSync(copied).mode & 0o777).toString(8), "600")
    }))

  it.effect("shares its file when the options say so", () =>
    Effect.gen(function*() {
      const options = { filename: yield* temporaryFile, exclusive: false }
      const read = RunStore.use((store) => store.unfinished)
      const again = Effect.provide(read, Sqlite.layer(options), { local: true })
      assert.deepStrictEqual(
        yield* Effect.andThen(read, again).pipe(Effect.provide(Sqlite.layer(options), { local: true })),
        []
      )
    }))

  it.effect("keeps two files of one process apart, for single stores too", () =>
    Effect.gen(function*() {
      const [one, other, trail] = yield* Effect.all([temporaryFile, temporaryFile, temporaryFile])
      const write = (runId: string) =>
        Layer.effectDiscard(RunStore.use((store) => store.write([admit(makeRun({ runId }))])))
      const record = Layer.effectDiscard(
        Audit.use((audit) =>
          audit.record({
            at: 0,
            tenant: "acme",
            principal: "ada",
            action: "call",
            target: "agent/writer",
            decision: "allowed",
            traceId: "0"
          })
        )
      )
      const both = Layer.mergeAll(
        Layer.provide(write("in-one"), Sqlite.layer({ filename: one })),
        Layer.provide(write("in-the-other"), Sqlite.layer({ filename: other })),
        Layer.provide(record, SqliteAudit.layer({ filename: trail }))
      )
      yield* Effect.scoped(Layer.build(both))
      const rows = (filename: string) =>
        SqlClient.SqlClient.use((sql) => sql`SELECT run_id AS row FROM runs UNION SELECT tenant FROM audit`).pipe(
          Effect.provide(SqliteClient.layer({ filename }), { local: true })
        )
      assert.deepStrictEqual(yield* rows(one), [{ row: "in-one" }])
      assert.deepStrictEqual(yield* rows(other), [{ row: "in-the-other" }])
      assert.strictEqual((yield* rows(trail)).length, 1)
    }))

  it.effect("does not change a file of another version", () =>
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
