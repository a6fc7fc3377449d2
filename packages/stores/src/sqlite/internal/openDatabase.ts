// Opens a SQLite file with the pragmas that the stores rely on; `SqliteClient` calls it.
import { Duration, Effect, type Scope } from "effect"
import * as SqlError from "effect/sql/SqlError"
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statSync } from "node:fs"
import { dirname } from "node:path"
import type { DatabaseSync } from "node:sqlite"
import type { Options } from "../SqliteClient.ts"
import { isBusy, isSqliteCause, toSqlError } from "./errors.ts"
import { SqliteLocked } from "./locked.ts"

const MAX_BUSY_TIMEOUT = 2 ** 31 - 1
const EXCLUSIVE_WAIT_MILLIS = 250
const SMALL_BYTES = 64 * 1_048_576

/** Opens a database and closes it with the scope. */
export const openDatabase = (
  options: Options
): Effect.Effect<DatabaseSync, SqlError.SqlError | SqliteLocked, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => openUnsafe(options),
      catch: (cause) => openError(options.filename, cause)
    }),
    (database) => Effect.sync(() => database.close())
  )

/**
 * Retries while the file is busy: clients that open a new file at the same time can refuse each other at once, without
 * SQLite waiting.
 */
const openUnsafe = (options: Options): DatabaseSync => {
  const busyTimeout = Math.min(Math.round(Duration.toMillis(options.busyTimeout ?? "5 seconds")), MAX_BUSY_TIMEOUT)
  const deadline = performance.now() + (options.exclusive === true ? EXCLUSIVE_WAIT_MILLIS : busyTimeout)
  if (options.readonly !== true && options.filename !== ":memory:") {
    makeFolder(dirname(options.filename))
    keepPrivate(options.filename)
  }
  while (true) {
    try {
      return openOnce(options, busyTimeout)
    } catch (cause) {
      if (!isBusy(cause) || performance.now() >= deadline) throw cause
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1 + Math.random() * 20)
    }
  }
}

/** Makes parents itself, because `recursive` loops for ever where no folder can be made, as under `/proc`. */
const makeFolder = (folder: string): void => {
  const parent = dirname(folder)
  if (existsSync(folder) || parent === folder) return
  makeFolder(parent)
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (cause) {
    // Another process may have made it meanwhile.
    if (!existsSync(folder)) throw cause
  }
}

/**
 * Makes the file, which only its user may read, and takes the rights of others from one that exists. SQLite gives its other
 * files the rights of this one. A file that exists is not opened here: closing it would end the locks of this process.
 */
const keepPrivate = (filename: string): void => {
  try {
    closeSync(openSync(filename, "wx", 0o600))
  } catch {
    for (const file of [filename, `${filename}-wal`, `${filename}-shm`]) restrict(file)
  }
}

const restrict = (file: string): void => {
  try {
    if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600)
  } catch {
    // A file that is missing, or another user's, cannot be restricted: opening it fails if it must.
  }
}

const openOnce = (options: Options, busyTimeout: number): DatabaseSync => {
  const { DatabaseSync } = nodeSqlite()
  const database = new DatabaseSync(options.filename, {
    enableForeignKeyConstraints: true,
    readOnly: options.readonly === true,
    timeout: options.exclusive === true ? 0 : busyTimeout
  })
  try {
    // Only a locking mode set before the first access covers the write-ahead log.
    if (options.exclusive === true) database.exec("PRAGMA locking_mode=EXCLUSIVE")
    // A new file can give room back: that has to be said before anything is written.
    if (options.readonly !== true) {
      database.exec("PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
    }
    database.exec(options.exclusive === true ? "BEGIN EXCLUSIVE; COMMIT" : "SELECT 1 FROM sqlite_schema")
    if (options.exclusive === true && options.readonly !== true) rewriteSmall(database)
    // Copies of changed pages, which many statements keep until they end: once these were in a file, all would go there.
    database.exec(`PRAGMA temp_store=MEMORY; PRAGMA busy_timeout=${busyTimeout}`)
    return database
  } catch (cause) {
    database.close()
    throw cause
  }
}

/** A small file of a version that could not give room back is written anew once; that takes well under a second. */
const rewriteSmall = (database: DatabaseSync): void => {
  const pragma = (name: string) => Number(database.prepare(`PRAGMA ${name}`).get()?.[name])
  if (pragma("auto_vacuum") !== 0 || pragma("page_count") * pragma("page_size") > SMALL_BYTES) return
  database.exec("PRAGMA auto_vacuum=INCREMENTAL; VACUUM")
}

const openError = (filename: string, cause: unknown): SqlError.SqlError | SqliteLocked => {
  if (!isSqliteCause(cause)) {
    const message = `Cannot open "${filename}"`
    return new SqlError.SqlError({ reason: new SqlError.ConnectionError({ cause, message, operation: "open" }) })
  }
  return isBusy(cause) ? new SqliteLocked({ filename }) : toSqlError(cause, "open")
}

/** Loads `node:sqlite` without the warning of Node 22 that it is experimental. */
const nodeSqlite = () => {
  const emitWarning = process.emitWarning
  process.emitWarning = (warning: string | Error, ...rest: ReadonlyArray<unknown>) => {
    if (rest[0] === "ExperimentalWarning" && String(warning).startsWith("SQLite")) return
    Reflect.apply(emitWarning, process, [warning, ...rest])
  }
  try {
    return process.getBuiltinModule("node:sqlite")
  } finally {
    process.emitWarning = emitWarning
  }
}
