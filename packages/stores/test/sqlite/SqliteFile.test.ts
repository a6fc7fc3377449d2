import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { existsSync, mkdtempSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { SqliteClient, SqliteFile } from "../../src/sqlite/index.ts"

const folder = () => mkdtempSync(join(tmpdir(), "fastagentic-"))

const table = (filename: string) => {
  const database = new DatabaseSync(filename)
  const [integrity] = database.prepare("PRAGMA integrity_check").all()
  const rows = database.prepare("SELECT side, count(*) AS count FROM moves GROUP BY side ORDER BY side").all()
  database.close()
  return { integrity: integrity?.["integrity_check"], counts: rows.map((row) => row["count"]) }
}

const withDatabase = <A, E>(
  filename: string,
  use: (sql: SqlClient, backup: SqliteFile.SqliteFile["Service"]) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient
    yield* sql`CREATE TABLE moves (id INTEGER PRIMARY KEY, side TEXT, filler TEXT)`
    return yield* use(sql, yield* SqliteFile.SqliteFile)
  }).pipe(Effect.provide(SqliteClient.layer({ filename, exclusive: true })), Effect.scoped)

/** Two rows that belong together, with time for a backup between them. */
const move = (sql: SqlClient, filler: string) =>
  sql.withTransaction(Effect.andThen(
    Effect.andThen(sql`INSERT INTO moves (side, filler) VALUES ('from', ${filler})`, Effect.sleep("1 millis")),
    sql`INSERT INTO moves (side, filler) VALUES ('to', ${filler})`
  ))

describe("A backup of a SQLite database", () => {
  for (const filled of [0, 10_000]) {
    it.live(`is of one commit while ${filled} rows are there and others are written`, () =>
      Effect.gen(function*() {
        const at = folder()
        yield* withDatabase(join(at, "acme.db"), (sql, backup) =>
          Effect.gen(function*() {
            const filler = "x".repeat(2_000)
            if (filled > 0) {
              yield* sql`
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${filled})
                INSERT INTO moves (side, filler) SELECT CASE i % 2 WHEN 0 THEN 'to' ELSE 'from' END, ${filler} FROM n`
            }
            const writer = yield* Effect.forkChild(Effect.forever(move(sql, filler)))
            for (let round = 0; round < 5; round++) {
              const target = join(at, `${round}.db`)
              assert.strictEqual(yield* backup.copyTo(target), statSync(target).size)
              const { counts, integrity } = table(target)
              assert.strictEqual(integrity, "ok")
              assert.strictEqual(counts[0], counts[1])
              assert.isFalse(existsSync(`${target}.partial`))
            }
            yield* Fiber.interrupt(writer)
          }))
      }), 60_000)
  }

  it.live("is refused where there is a file, and leaves nothing when it fails", () =>
    Effect.gen(function*() {
      const at = folder()
      writeFileSync(join(at, "there.db"), "precious")
      yield* withDatabase(join(at, "acme.db"), (sql, backup) =>
        Effect.gen(function*() {
          const there = yield* Effect.flip(backup.copyTo(join(at, "there.db")))
          assert.include(there.message, "the file exists")
          const nowhere = yield* Effect.flip(backup.copyTo(join(at, "no", "such", "folder.db")))
          assert.strictEqual(nowhere._tag, "BackupFailed")
          assert.strictEqual(statSync(join(at, "there.db")).size, 8)
          yield* move(sql, "later")
        }))
    }))
})

describe("The file of a SQLite database", () => {
  const fill = (sql: SqlClient, rows: number) =>
    sql`
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
      INSERT INTO moves (side, filler) SELECT 'from', ${"x".repeat(2_000)} FROM n`

  it.live("shrinks after a large removal, a bounded part at a time, while others write", () =>
    Effect.gen(function*() {
      const filename = join(folder(), "acme.db")
      yield* withDatabase(filename, (sql, file) =>
        Effect.gen(function*() {
          yield* fill(sql, 20_000)
          yield* sql`DELETE FROM moves WHERE id % 10 <> 0`
          yield* sql`PRAGMA wal_checkpoint(TRUNCATE)`
          const full = statSync(filename).size
          assert.strictEqual(yield* file.shrink({ keep: 1_024, most: 512 }), 512)
          const writer = yield* Effect.forkChild(Effect.forever(move(sql, "y")))
          yield* file.shrink({ keep: 100, most: Infinity })
          yield* Fiber.interrupt(writer)
          assert.isBelow(statSync(filename).size, full / 4)
          assert.isBelow(statSync(`${filename}-wal`).size, 4_000_000)
          assert.strictEqual(yield* file.shrink({ keep: 200, most: Infinity }), 0)
        }))
      assert.strictEqual(table(filename).integrity, "ok")
    }), 30_000)

  it.live("of a version that did not shrink is written anew at the start when it is small", () =>
    Effect.gen(function*() {
      const filename = join(folder(), "acme.db")
      const old = new DatabaseSync(filename)
      old.exec("PRAGMA journal_mode=WAL; CREATE TABLE kept (id INTEGER PRIMARY KEY); INSERT INTO kept VALUES (7)")
      old.close()
      const modes = yield* withDatabase(
        filename,
        (sql) => Effect.all([sql`SELECT id FROM kept`, sql`PRAGMA auto_vacuum`, sql`PRAGMA journal_mode`])
      )
      assert.deepStrictEqual(modes.map(([row]) => Object.values(row ?? {})[0]), [7, 2, "wal"])
    }))
})
