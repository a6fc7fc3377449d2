import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Tracer } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SqliteClient, SqliteWriter } from "../../src/sqlite/index.ts"

const temporaryFile = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "sqlite-writer-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
).pipe(Effect.map((folder) => join(folder, "notes.db")))

/** A table of notes: each is unique, and its topic must exist when the transaction ends. */
const open = Effect.fnUntraced(function*(filename: string) {
  const services = yield* Layer.build(Layer.provideMerge(SqliteWriter.layer, SqliteClient.layer({ filename })))
  const sql = Context.get(services, SqlClient.SqlClient)
  const { write } = Context.get(services, SqliteWriter.SqliteWriter)
  yield* sql`CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY)`
  yield* sql`CREATE TABLE IF NOT EXISTS notes (
    text TEXT PRIMARY KEY, topic TEXT REFERENCES topics (name) DEFERRABLE INITIALLY DEFERRED)`
  const notes = Effect.map(
    sql<{ readonly text: string }>`SELECT text FROM notes ORDER BY text`,
    (rows) => rows.map(({ text }) => text)
  )
  const note = (text: string, topic: string | null = null) => write(insert(text, topic))
  return { sql, write, notes, note }
})

const insert = (text: string, topic: string | null) => (connection: Connection) =>
  connection.executeValues("INSERT INTO notes (text, topic) VALUES (?, ?)", [text, topic])

const together = { concurrency: "unbounded" } as const

describe("SqliteWriter", () => {
  it.live("commits all waiting writes in one transaction", () =>
    Effect.gen(function*() {
      let transactions = 0
      const counting = Tracer.make({
        span: (options) => {
          if (options.name === "sql.transaction") transactions++
          return new Tracer.NativeSpan(options)
        }
      })
      const { note, notes } = yield* Effect.provideService(open(yield* temporaryFile), Tracer.Tracer, counting)
      yield* Effect.forEach(Array.from({ length: 200 }, (_, index) => `${index}`), (text) => note(text), together)
      assert.lengthOf(yield* notes, 200)
      assert.strictEqual(transactions, 1)
    }))

  it.live("rolls back a write that fails, and no other", () =>
    Effect.gen(function*() {
      const { note, notes, write } = yield* open(yield* temporaryFile)
      const exits = yield* Effect.forEach(
        [
          note("one"),
          write((connection) => Effect.andThen(insert("two", null)(connection), Effect.fail("no more"))),
          note("one"),
          write((connection) => Effect.andThen(insert("three", null)(connection), Effect.die("a defect"))),
          write((connection) => Effect.andThen(insert("four", null)(connection), Effect.interrupt)),
          note("five")
        ],
        Effect.exit,
        together
      )
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, false, false, false, true])
      assert.deepStrictEqual(exits[1], Exit.fail("no more"))
      assert.deepStrictEqual(yield* notes, ["five", "one"])
    }))

  it.live("fails every write of a commit that fails, and continues", () =>
    Effect.gen(function*() {
      const { note, notes } = yield* open(yield* temporaryFile)
      const exits = yield* Effect.forEach([note("one"), note("two", "nowhere"), note("three")], Effect.exit, together)
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [false, false, false])
      assert.deepStrictEqual(yield* notes, [])
      yield* note("four")
      assert.deepStrictEqual(yield* notes, ["four"])
    }))

  it.live("writes into the transaction of the caller", () =>
    Effect.gen(function*() {
      const { note, notes, sql } = yield* open(yield* temporaryFile)
      const exit = yield* note("one").pipe(Effect.andThen(Effect.fail("no more")), sql.withTransaction, Effect.exit)
      assert.deepStrictEqual(exit, Exit.fail("no more"))
      assert.deepStrictEqual(yield* notes, [])
      yield* sql.withTransaction(Effect.andThen(note("two"), Effect.flip(note("two"))))
      assert.deepStrictEqual(yield* notes, ["two"])
    }))

  it.live("blocks no other client of the file, however many write", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const clients = [yield* open(filename), yield* open(filename), yield* open(filename)]
      yield* Effect.forEach(clients, ({ note }, client) =>
        Effect.forEach(
          Array.from({ length: 1_000 }, (_, index) => `${client} ${index}`),
          (text) => note(text),
          together
        ), together)
      for (const { notes } of clients) assert.lengthOf(yield* notes, 3_000)
    }))

  it.live("writes for a caller that was interrupted", () =>
    Effect.gen(function*() {
      const { note, notes } = yield* open(yield* temporaryFile)
      const fiber = yield* Effect.forkChild(note("one"), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      yield* note("two")
      assert.deepStrictEqual(yield* notes, ["one", "two"])
    }))
})
