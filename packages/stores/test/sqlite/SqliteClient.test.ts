import { assert, describe, it, layer } from "@effect/vitest"
import { Config, ConfigProvider, Deferred, Effect, Fiber, Layer, Schema, Stream } from "effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as SqliteClient from "../../src/sqlite/SqliteClient.ts"

const Memory = SqliteClient.layer({ filename: ":memory:" })

const temporaryFile = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "sqlite-client-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  ),
  (folder) => join(folder, "nested", "folder", "store.db")
)

/** Runs an effect with its own client, closed afterwards. */
const withClient = <A, E>(
  options: SqliteClient.Options,
  f: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>
) => Effect.provide(Effect.flatMap(SqlClient.SqlClient, f), SqliteClient.layer(options), { local: true })

const source = fileURLToPath(new URL("../../src/sqlite/SqliteClient.ts", import.meta.url))

/** A program for another process: opens the file, prints the result, and keeps it open if asked. */
const opener = (options: SqliteClient.Options, stay: boolean) => [
  "--input-type=module",
  "--eval",
  `
    import { Effect } from "effect"
    import * as SqlClient from "effect/sql/SqlClient"
    import * as SqliteClient from ${JSON.stringify(source)}
    const opened = SqlClient.SqlClient.use((sql) => Effect.gen(function*() {
      yield* sql\`SELECT 1\`
      yield* Effect.sync(() => console.log("Opened"))
      if (${stay}) yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 60_000)))
    }))
    await Effect.runPromise(opened.pipe(
      Effect.provide(SqliteClient.layer(${JSON.stringify(options)})),
      Effect.catchTag("SqliteLocked", (error) => Effect.sync(() => console.log(error._tag, error.filename)))
    ))
    process.emitWarning("a warning of the application", "ExperimentalWarning")
  `
]

const openElsewhere = (options: SqliteClient.Options) =>
  Effect.sync(() => spawnSync(process.execPath, opener(options, false), { cwd: import.meta.dirname, encoding: "utf8" }))

const holdElsewhere = (options: SqliteClient.Options) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const holder = spawn(process.execPath, opener(options, true), { cwd: import.meta.dirname })
      const [said] = await once(holder.stdout, "data")
      return { holder, said: String(said) }
    }),
    ({ holder }) => Effect.sync(() => holder.kill("SIGKILL"))
  )

layer(Memory)("values", (it) => {
  it.effect("are read as they were written", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE kinds (id TEXT PRIMARY KEY, i INTEGER, r REAL, t TEXT, b BLOB, f INTEGER, n ANY, d TEXT) STRICT`
      const bytes = Uint8Array.from([0, 1, 127, 255])
      const row = { id: "a", i: 42, r: 1.5, t: "żółw 🐢", b: bytes, f: true, n: null, d: new Date(0) }
      yield* sql`INSERT INTO kinds ${sql.insert(row)}`
      const [read] = yield* sql`SELECT * FROM kinds WHERE f = ${true}`
      assert.deepStrictEqual({ ...read }, { ...row, b: bytes, f: 1, d: "1970-01-01T00:00:00.000Z" })
      assert.instanceOf(read?.b, Uint8Array)
    }))

  it.effect("decode with Schema", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const Row = Schema.Struct({ id: Schema.String, done: Schema.BooleanFromBit })
      const rows = yield* sql`SELECT 'a' AS id, 1 AS done`
      assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(Schema.Array(Row))(rows), [{ id: "a", done: true }])
    }))

  it.effect("undefined is NULL and an object is refused", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      assert.deepStrictEqual(yield* sql.unsafe("SELECT ?", [undefined]).values, [[null]])
      const error = yield* Effect.flip(sql.unsafe("SELECT ?", [{ a: 1 }]))
      assert.strictEqual(error.reason._tag, "UnknownError")
      assert.strictEqual(error.message, "Cannot bind object as a parameter")
    }))

  it.effect("big integers need SafeIntegers", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const big = 2n ** 63n - 1n
      const read = sql`SELECT ${big} AS big, ${7n} AS small, ${1.5} AS real`
      const safe = Effect.provideService(read, SqlClient.SafeIntegers, true)
      assert.deepStrictEqual((yield* safe).map((row) => ({ ...row })), [{ big, small: 7n, real: 1.5 }])
      assert.strictEqual((yield* Effect.flip(read)).reason._tag, "UnknownError")
      assert.deepStrictEqual(yield* sql`SELECT ${7n}`.values, [[7]])
      assert.deepStrictEqual((yield* safe).map((row) => row.small), [7n])
    }))
})

layer(Memory)("statements", (it) => {
  it.effect("raw answers with the number of changes", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE changed (id INTEGER PRIMARY KEY, state TEXT)`
      assert.deepStrictEqual(yield* sql`INSERT INTO changed (state) VALUES ('a'), ('a')`, [])
      const update = sql`UPDATE changed SET state = 'b' WHERE state = 'a'`
      assert.containSubset(yield* update.raw, { changes: 2 })
      assert.containSubset(yield* update.raw, { changes: 0 })
      assert.containSubset(yield* sql`DELETE FROM changed RETURNING id`.raw, [{ id: 1 }, { id: 2 }])
    }))

  it.effect("are arrays in executeValues, for the same text too", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const select = sql`SELECT 1 AS a, 2 AS a, 'x' AS b`
      assert.deepStrictEqual(yield* select.values, [[1, 2, "x"]])
      assert.deepStrictEqual((yield* select).map((row) => ({ ...row })), [{ a: 2, b: "x" }])
      assert.deepStrictEqual(yield* select.valuesUnprepared, [[1, 2, "x"]])
    }))

  it.effect("only unprepared runs a script", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const script = sql.unsafe(`
        CREATE TABLE script (a TEXT); -- one; two
        INSERT INTO script VALUES ('a;b') /* ; */;
        SELECT a FROM script;
        -- the end
      `)
      assert.strictEqual((yield* Effect.flip(script)).reason._tag, "SqlSyntaxError")
      assert.deepStrictEqual((yield* script.unprepared).map((row) => ({ ...row })), [{ a: "a;b" }])
      assert.deepStrictEqual(yield* sql.unsafe("SELECT 1; -- one").values, [[1]])
    }))

  it.effect("stream rows while the same statement runs", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const numbers = sql<{ n: number }>`
        WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 1000) SELECT n FROM counter`
      const streamed = yield* sql.withTransaction(Stream.runFold(
        Stream.mapEffect(numbers.stream, (row) => Effect.map(numbers, (rows) => row.n + rows.length)),
        () => 0,
        (sum, n) => sum + n
      ))
      assert.strictEqual(streamed, 500_500 + 1_000_000)
      assert.deepStrictEqual(
        (yield* Stream.runCollect(Stream.take(numbers.stream, 2))).map((row) => row.n),
        [1, 2]
      )
      assert.strictEqual(
        (yield* Effect.flip(Stream.runDrain(sql`SELECT nothing`.stream))).reason._tag,
        "SqlSyntaxError"
      )
    }))

  it.effect("more texts than the cache holds", () =>
    withClient({ filename: ":memory:", statementCacheSize: 4 }, (sql) =>
      Effect.gen(function*() {
        for (const n of [0, 1, 2, 3, 4, 5, 6, 7, 0, 7, 3]) {
          assert.deepStrictEqual(yield* sql.unsafe(`SELECT ${n}`).values, [[n]])
        }
      })))
})

layer(Memory)("errors", (it) => {
  const reasonOf = (statement: string) =>
    SqlClient.SqlClient.use((sql) => Effect.map(Effect.flip(sql.unsafe(statement)), (error) => error.reason))

  it.effect("name the constraint", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql.unsafe(`
        CREATE TABLE parents (id TEXT PRIMARY KEY) WITHOUT ROWID;
        CREATE TABLE strict (id INTEGER PRIMARY KEY, u TEXT UNIQUE, p TEXT REFERENCES parents, n TEXT NOT NULL);
        INSERT INTO strict VALUES (1, 'taken', NULL, '')
      `).unprepared
      const unique = yield* reasonOf("INSERT INTO strict VALUES (2, 'taken', NULL, '')")
      assert.containSubset(unique, { _tag: "UniqueViolation", constraint: "strict.u", isRetryable: false })
      const primary = yield* reasonOf("INSERT INTO strict VALUES (1, NULL, NULL, '')")
      assert.containSubset(primary, { _tag: "UniqueViolation", constraint: "strict.id" })
      assert.strictEqual((yield* reasonOf("INSERT INTO strict VALUES (2, NULL, 'x', '')"))._tag, "ConstraintError")
      assert.strictEqual((yield* reasonOf("INSERT INTO strict VALUES (2, NULL, NULL, NULL)"))._tag, "ConstraintError")
    }))

  it.effect("distinguish bad SQL from a full disk", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      assert.containSubset(yield* reasonOf("SELEC 1"), { _tag: "SqlSyntaxError", operation: "prepare" })
      assert.strictEqual((yield* reasonOf("SELECT * FROM nowhere"))._tag, "SqlSyntaxError")
      yield* sql`CREATE TABLE large (b BLOB)`
      yield* sql`PRAGMA max_page_count = 50`
      const full = yield* reasonOf("INSERT INTO large VALUES (zeroblob(1000000))")
      assert.containSubset(full, { _tag: "UnknownError", message: "database or disk is full", operation: "execute" })
    }))
})

layer(Memory)("transactions", (it) => {
  const table = (name: string) =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE ${sql(name)} (n INTEGER)`
      const insert = (n: number) => sql`INSERT INTO ${sql(name)} VALUES (${n})`
      const read = Effect.map(sql`SELECT n FROM ${sql(name)} ORDER BY n`.values, (rows) => rows.flat())
      return { sql, insert, read }
    })

  it.effect("commit", () =>
    Effect.gen(function*() {
      const { insert, read, sql } = yield* table("committed")
      assert.deepStrictEqual(yield* sql.withTransaction(Effect.andThen(insert(1), read)), [1])
      assert.deepStrictEqual(yield* read, [1])
    }))

  it.effect("roll back when the effect fails", () =>
    Effect.gen(function*() {
      const { insert, read, sql } = yield* table("failed")
      const failed = sql.withTransaction(Effect.andThen(insert(1), Effect.fail("no")))
      assert.strictEqual(yield* Effect.flip(failed), "no")
      assert.deepStrictEqual(yield* read, [])
    }))

  it.effect("nest as savepoints", () =>
    Effect.gen(function*() {
      const { insert, read, sql } = yield* table("nested")
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* insert(1)
        yield* Effect.flip(sql.withTransaction(Effect.andThen(insert(2), Effect.fail("inner"))))
        yield* sql.withTransaction(insert(3))
      }))
      assert.deepStrictEqual(yield* read, [1, 3])
      yield* Effect.flip(sql.withTransaction(
        Effect.andThen(sql.withTransaction(insert(4)), Effect.fail("outer"))
      ))
      assert.deepStrictEqual(yield* read, [1, 3])
    }))

  it.effect("of two fibers do not interleave", () =>
    Effect.gen(function*() {
      const { insert, read, sql } = yield* table("concurrent")
      const seen = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], (n) =>
        sql.withTransaction(Effect.gen(function*() {
          const before = yield* read
          yield* insert(n)
          yield* Effect.yieldNow
          yield* insert(n)
          yield* Effect.yieldNow
          return (yield* read).length - before.length
        })), { concurrency: "unbounded" })
      assert.deepStrictEqual(seen, [2, 2, 2, 2, 2, 2, 2, 2])
    }))

  it.effect("hold back statements from outside", () =>
    Effect.gen(function*() {
      const { insert, read, sql } = yield* table("isolated")
      const inserted = yield* Deferred.make<void>()
      const finish = yield* Deferred.make<void>()
      const writer = yield* Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
        yield* insert(1)
        yield* Deferred.succeed(inserted, undefined)
        yield* Deferred.await(finish)
        yield* insert(2)
      })))
      yield* Deferred.await(inserted)
      const reader = yield* Effect.forkChild(read)
      yield* Effect.yieldNow
      assert.isUndefined(reader.pollUnsafe())
      yield* Deferred.succeed(finish, undefined)
      yield* Fiber.join(writer)
      assert.deepStrictEqual(yield* Fiber.join(reader), [1, 2])
    }))

  it.effect("roll back when interrupted", () =>
    Effect.gen(function*() {
      const { insert, read, sql } = yield* table("interrupted")
      const inserted = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
        yield* insert(1)
        yield* Deferred.succeed(inserted, undefined)
        return yield* Effect.never
      })))
      yield* Deferred.await(inserted)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* read, [])
      yield* sql.withTransaction(insert(2))
      assert.deepStrictEqual(yield* read, [2])
    }))

  it.effect("roll back when COMMIT fails", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql.unsafe(`
        CREATE TABLE owners (id INTEGER PRIMARY KEY);
        CREATE TABLE owned (owner INTEGER REFERENCES owners DEFERRABLE INITIALLY DEFERRED)
      `).unprepared
      const error = yield* Effect.flip(sql.withTransaction(sql`INSERT INTO owned VALUES (1)`))
      assert.strictEqual(error.reason._tag, "ConstraintError")
      assert.deepStrictEqual(yield* sql.withTransaction(sql`SELECT count(*) FROM owned`.values), [[0]])
    }))
})

describe("files", () => {
  it.effect("keep their rows, and their folder is created", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* withClient({ filename }, (sql) =>
        Effect.andThen(sql`CREATE TABLE kept (a TEXT)`, sql`INSERT INTO kept VALUES ('here')`))
      assert.isFalse(existsSync(`${filename}-wal`), "closed with the scope")
      assert.deepStrictEqual(
        yield* withClient({ filename }, (sql) =>
          sql`SELECT a FROM kept`.values),
        [["here"]]
      )
    }))

  it.effect("are opened with the promised pragmas", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const pragmas = (options: Omit<SqliteClient.Options, "filename">) =>
        withClient({ filename, ...options }, (sql) =>
          Effect.map(
            Effect.forEach(
              ["journal_mode", "synchronous", "busy_timeout", "foreign_keys", "temp_store", "locking_mode"],
              (name) => sql.unsafe(`PRAGMA ${name}`).values
            ),
            (pragmas) => pragmas.flat(2)
          ))
      assert.deepStrictEqual(yield* pragmas({}), ["wal", 2, 5000, 1, 2, "normal"])
      assert.deepStrictEqual(yield* pragmas({ exclusive: true, busyTimeout: "1 minute" }), [
        "wal",
        2,
        60_000,
        1,
        2,
        "exclusive"
      ])
      assert.deepStrictEqual(yield* pragmas({ readonly: true, busyTimeout: "Infinity" }), [
        "wal",
        2,
        2_147_483_647,
        1,
        2,
        "normal"
      ])
    }))

  it.effect("opened read-only refuse to be written", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* withClient({ filename }, (sql) => sql`CREATE TABLE kept (a TEXT)`)
      yield* withClient({ filename, readonly: true }, (sql) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* sql.withTransaction(sql`SELECT a FROM kept`.values), [])
          const error = yield* Effect.flip(sql.withTransaction(sql`INSERT INTO kept VALUES ('no')`))
          assert.strictEqual(error.reason._tag, "AuthorizationError")
          assert.strictEqual(error.message, "attempt to write a readonly database")
        }))
    }))

  it.effect("that cannot be opened fail with a typed error", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const missing = yield* Effect.flip(withClient({ filename, readonly: true }, Effect.succeed))
      assert.containSubset(missing, { _tag: "SqlError", reason: { _tag: "ConnectionError", operation: "open" } })
      yield* withClient({ filename }, Effect.succeed)
      const inside = yield* Effect.flip(withClient({ filename: join(filename, "store.db") }, Effect.succeed))
      assert.containSubset(inside, { _tag: "SqlError", reason: { _tag: "ConnectionError", operation: "open" } })
      yield* Effect.sync(() => writeFileSync(filename, "this is a letter, not a database".repeat(64)))
      const letter = yield* Effect.flip(withClient({ filename }, Effect.succeed))
      assert.containSubset(letter, { _tag: "SqlError", message: "file is not a database" })
    }))

  it.effect("fail at once with a typed error where no folder can be made", () =>
    Effect.gen(function*() {
      const above = yield* temporaryFile
      yield* withClient({ filename: above }, Effect.succeed)
      for (const folder of ["/proc/nope", join(above, "below")]) {
        const error = yield* Effect.flip(withClient({ filename: join(folder, "deeper", "x.db") }, Effect.succeed))
        assert.containSubset(error, { _tag: "SqlError", reason: { _tag: "ConnectionError", operation: "open" } })
      }
    }))

  it.effect("are named by configuration", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const Configured = SqliteClient.layerConfig({
        filename: Config.String("DATABASE"),
        exclusive: Config.Boolean("EXCLUSIVE")
      }).pipe(
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ DATABASE: filename, EXCLUSIVE: "true" })))
      )
      const mode = SqlClient.SqlClient.use((sql) => sql`PRAGMA locking_mode`.values)
      assert.deepStrictEqual(yield* Effect.provide(mode, Configured), [["exclusive"]])
      assert.isTrue(existsSync(filename))
    }))

  it.effect("wait for another client's lock, then fail retryable", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* withClient({ filename }, (writer) =>
        withClient({ filename, busyTimeout: "20 millis" }, (other) =>
          Effect.gen(function*() {
            yield* writer`CREATE TABLE t (a)`
            const error = yield* writer.withTransaction(Effect.flip(other.withTransaction(other`SELECT 1`)))
            assert.containSubset(error, { reason: { _tag: "LockTimeoutError" }, isRetryable: true })
            yield* other.withTransaction(other`INSERT INTO t VALUES (1)`)
          })))
    }))
})

describe("exclusive", () => {
  it.effect("refuses another process", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* withClient({ filename, exclusive: true }, (sql) =>
        Effect.gen(function*() {
          const locked = `SqliteLocked ${filename}\n`
          assert.strictEqual((yield* openElsewhere({ filename, exclusive: true })).stdout, locked)
          assert.strictEqual((yield* openElsewhere({ filename, busyTimeout: 10 })).stdout, locked)
          assert.strictEqual((yield* openElsewhere({ filename, busyTimeout: 10, readonly: true })).stdout, locked)
          yield* sql`CREATE TABLE still_mine (a)`
        }))
      assert.strictEqual((yield* openElsewhere({ filename, exclusive: true })).stdout, "Opened\n")
    }), 20_000)

  it.effect("refuses another client in the process", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const second = withClient({ filename, exclusive: true }, Effect.succeed)
      const error = yield* withClient({ filename, exclusive: true }, () => Effect.flip(second))
      assert.instanceOf(error, SqliteClient.SqliteLocked)
      assert.containSubset(error, {
        filename,
        message: `The database "${filename}" is in use by another process or client`
      })
      assert.instanceOf(yield* withClient({ filename }, () => Effect.flip(second)), SqliteClient.SqliteLocked)
    }))

  it.effect("admits one of several clients that start together", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const holders = yield* Effect.all(Array.from({ length: 4 }, () => holdElsewhere({ filename, exclusive: true })), {
        concurrency: "unbounded"
      })
      const locked = `SqliteLocked ${filename}\n`
      assert.deepStrictEqual(holders.map(({ said }) => said).toSorted(), ["Opened\n", locked, locked, locked])
    }), 20_000)

  it.effect("ends with the process that held it", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const { holder } = yield* holdElsewhere({ filename, exclusive: true })
      const open = withClient({ filename, exclusive: true }, (sql) => sql`SELECT 1`.values)
      assert.instanceOf(yield* Effect.flip(open), SqliteClient.SqliteLocked)
      yield* Effect.promise(async () => {
        holder.kill("SIGKILL")
        await once(holder, "exit")
      })
      assert.deepStrictEqual(yield* open, [[1]])
    }), 20_000)
})

describe("Node's warnings", () => {
  it.effect("about SQLite are dropped, others are not", () =>
    Effect.gen(function*() {
      const { stderr, stdout } = yield* openElsewhere({ filename: ":memory:" })
      assert.strictEqual(stdout, "Opened\n")
      assert.notInclude(stderr, "SQLite is an experimental feature")
      assert.include(stderr, "ExperimentalWarning: a warning of the application")
    }), 20_000)
})

describe("Migrator", () => {
  const migrate = Migrator.make({})
  const first = SqlClient.SqlClient.use((sql) => Effect.asVoid(sql`CREATE TABLE runs (id TEXT PRIMARY KEY)`))
  const second = SqlClient.SqlClient.use((sql) =>
    Effect.asVoid(
      sql.unsafe("ALTER TABLE runs ADD COLUMN state TEXT; CREATE INDEX runs_state ON runs (state)").unprepared
    )
  )
  const broken = SqlClient.SqlClient.use((sql) =>
    Effect.andThen(sql`CREATE TABLE half (id TEXT)`, Effect.asVoid(sql`CREATE TABLE runs (id TEXT)`))
  )

  it.effect("runs pending migrations once", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const run = (migrations: Record<string, typeof first>) =>
        Effect.provide(
          migrate({ loader: Migrator.fromRecord(migrations), table: "migrations" }),
          SqliteClient.layer({ filename }),
          { local: true }
        )
      assert.deepStrictEqual(yield* run({ "0001_runs": first }), [[1, "runs"]])
      const both = { "0001_runs": first, "0002_state": second }
      const [one, two] = yield* Effect.all([run(both), run(both)], { concurrency: 2 })
      assert.deepStrictEqual([...one, ...two], [[2, "state"]])
      assert.deepStrictEqual(yield* run(both), [])
      assert.strictEqual((yield* Effect.flip(run({ ...both, "0003_broken": broken })))._tag, "MigrationError")
      const tables = yield* withClient({ filename }, (sql) =>
        sql`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`.values)
      assert.deepStrictEqual(tables, [["migrations"], ["runs"]])
    }))
})
