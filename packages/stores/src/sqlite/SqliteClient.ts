/**
 * Effect's `SqlClient` over `node:sqlite`: one file, one connection, nothing to install.
 *
 * @since 0.1.0
 */
import { Array as Arr, Cause, Config, Duration, Effect, Layer, Predicate, Schema, Semaphore, Stream } from "effect"
import type { Scope } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import * as SqlError from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import { existsSync, mkdirSync } from "node:fs"
import { dirname } from "node:path"
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"

/**
 * How to open a database.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** A path, whose folder is created when missing, or `":memory:"`. */
  readonly filename: string
  readonly readonly?: boolean | undefined
  /**
   * Refuses the file to everybody else until this client closes. Opening fails within a quarter of a second, whatever
   * the `busyTimeout`, when somebody has it open.
   *
   * The lock is the operating system's: it ends with the process, however that ends. On POSIX it also ends when the
   * same process opens and closes the file by other means (`fs.readFile`, another SQLite library).
   */
  readonly exclusive?: boolean | undefined
  /** How long to wait for another process' lock, blocking the event loop. Defaults to 5 seconds. */
  readonly busyTimeout?: Duration.Input | undefined
  /** How many prepared statements to keep, the least recently used leave first. Defaults to 256. */
  readonly statementCacheSize?: number | undefined
  readonly spanAttributes?: Readonly<Record<string, unknown>> | undefined
}

/**
 * Another process, or another client in this one, holds a lock on the file.
 *
 * @category errors
 * @since 0.1.0
 */
export class SqliteLocked extends Schema.TaggedError<SqliteLocked>()("SqliteLocked", {
  filename: Schema.String
}) {
  override get message(): string {
    return `The database "${this.filename}" is in use by another process or client`
  }
}

/**
 * Opens a database and closes it with the scope.
 *
 * **Details**
 *
 * WAL, `synchronous=FULL`, foreign keys on. Transactions begin with `BEGIN IMMEDIATE` and nest as savepoints. One
 * connection serves every fiber: a statement outside a transaction waits until the running transaction has ended.
 * `unprepared` runs every statement of a script, all other ways refuse text with more than one.
 *
 * **Gotchas**
 *
 * Integers beyond 2^53 fail to read unless `SqlClient.SafeIntegers` is provided. Rows have no prototype. A number is
 * bound as a REAL and becomes an integer in a column that says so; bind a bigint where no column decides.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (
  options: Options
) => Effect.Effect<SqlClient.SqlClient, SqlError.SqlError | SqliteLocked, Scope.Scope | Reactivity.Reactivity> = Effect
  .fnUntraced(function*(options) {
    const database = yield* open(options)
    return yield* SqlClient.make({
      ...SqlClient.makeSqliteAcquirers({
        connection: Effect.succeed(makeConnection(database, options.statementCacheSize ?? 256)),
        semaphore: yield* Semaphore.make(1),
        isTransaction: () => database.isTransaction
      }),
      compiler: Statement.makeCompilerSqlite(),
      driver: "node-sqlite",
      prepareTransactionControls: true,
      beginTransaction: "BEGIN IMMEDIATE",
      releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
      spanAttributes: [...Object.entries(options.spanAttributes ?? {}), ["db.system.name", "sqlite"]]
    })
  })

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<SqlClient.SqlClient, SqlError.SqlError | SqliteLocked> =>
  Layer.effect(SqlClient.SqlClient, make(options)).pipe(Layer.provide(Reactivity.layer))

/**
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<Options>
): Layer.Layer<SqlClient.SqlClient, Config.ConfigError | SqlError.SqlError | SqliteLocked> =>
  Layer.effect(SqlClient.SqlClient, Effect.flatMap(Config.unwrap(config), make)).pipe(Layer.provide(Reactivity.layer))

// opening

const MAX_BUSY_TIMEOUT = 2 ** 31 - 1
const EXCLUSIVE_PATIENCE = 250

const open = (options: Options) =>
  Effect.acquireRelease(
    Effect.try({
      try: () => openUnsafe(options),
      catch: (cause) => openError(options.filename, cause)
    }),
    (database) => Effect.sync(() => database.close())
  )

/**
 * Clients that open a fresh file together can refuse each other at once, without SQLite waiting: whoever was refused
 * lets go of the file and comes back.
 */
const openUnsafe = (options: Options): DatabaseSync => {
  const busyTimeout = Math.min(Math.round(Duration.toMillis(options.busyTimeout ?? "5 seconds")), MAX_BUSY_TIMEOUT)
  const deadline = performance.now() + (options.exclusive === true ? EXCLUSIVE_PATIENCE : busyTimeout)
  if (options.readonly !== true && options.filename !== ":memory:") {
    makeFolder(dirname(options.filename))
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

/** Not `recursive`, which tries for ever where no folder can be made, as under `/proc`. */
const makeFolder = (folder: string): void => {
  const parent = dirname(folder)
  if (existsSync(folder) || parent === folder) return
  makeFolder(parent)
  try {
    mkdirSync(folder)
  } catch (cause) {
    // Somebody else may have made it meanwhile.
    if (!existsSync(folder)) throw cause
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
    if (options.readonly !== true) database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
    database.exec(options.exclusive === true ? "BEGIN EXCLUSIVE; COMMIT" : "SELECT 1 FROM sqlite_schema")
    database.exec(`PRAGMA busy_timeout=${busyTimeout}`)
    return database
  } catch (cause) {
    database.close()
    throw cause
  }
}

const openError = (filename: string, cause: unknown): SqlError.SqlError | SqliteLocked => {
  if (!isSqliteCause(cause)) {
    const message = `Cannot open "${filename}"`
    return new SqlError.SqlError({ reason: new SqlError.ConnectionError({ cause, message, operation: "open" }) })
  }
  return isBusy(cause) ? new SqliteLocked({ filename }) : toSqlError(cause, "open")
}

/** Node 22 warns that SQLite is experimental when the module loads: only that warning is dropped. */
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

// statements

const STREAM_CHUNK = 128

const makeConnection = (database: DatabaseSync, cacheSize: number): Connection => {
  const cached = makeStatementCache(database, cacheSize)
  return {
    execute: (sql, params, transformRows) =>
      attempt((bigints) => {
        const rows = all(cached(sql), params, bigints)
        return transformRows === undefined ? rows : transformRows(rows)
      }),
    executeRaw: (sql, params) =>
      attempt((bigints) => {
        const prepared = cached(sql)
        return prepared.returnsRows ? all(prepared, params, bigints) : run(prepared, params, bigints)
      }),
    executeValues: (sql, params) => attempt((bigints) => values(cached(sql), params, bigints)),
    executeValuesUnprepared: (sql, params) => attempt((bigints) => values(prepare(database, sql), params, bigints)),
    executeUnprepared: (sql, params, transformRows) =>
      attempt((bigints) => {
        const rows = script(database, sql, params, bigints)
        return transformRows === undefined ? rows : transformRows(rows)
      }),
    executeStream: (sql, params, transformRows) => {
      // A statement of its own: the cached one may be run again between two rows.
      const cursor = Effect.acquireRelease(
        attempt((bigints) => iterate(prepare(database, sql), params, bigints)),
        (cursor) => Effect.sync(() => cursor.return())
      )
      const pull = (cursor: Iterator<object>) =>
        Effect.flatMap(attempt(() => take(cursor, STREAM_CHUNK)), (rows) => {
          const chunk = transformRows === undefined ? rows : transformRows(rows)
          return Arr.isReadonlyArrayNonEmpty(chunk) ? Effect.succeed(chunk) : Cause.done()
        })
      return Stream.scoped(Stream.fromPull(Effect.map(cursor, pull)))
    }
  }
}

const attempt = <A>(evaluate: (bigints: boolean) => A): Effect.Effect<A, SqlError.SqlError> =>
  Effect.withFiber((fiber) => {
    try {
      return Effect.succeed(evaluate(fiber.getRef(SqlClient.SafeIntegers)))
    } catch (cause) {
      return Effect.fail(toSqlError(cause, "execute"))
    }
  })

interface Prepared {
  readonly statement: StatementSync
  readonly returnsRows: boolean
  bigints: boolean
  arrays: boolean
}

const all = (prepared: Prepared, params: ReadonlyArray<unknown>, bigints: boolean) =>
  withModes(prepared, bigints, false).all(...toInputs(params))

const run = (prepared: Prepared, params: ReadonlyArray<unknown>, bigints: boolean) =>
  withModes(prepared, bigints, false).run(...toInputs(params))

// Asked once more after its last row, Node 22's own iterator starts again: a generator does not.
const iterate = function*(prepared: Prepared, params: ReadonlyArray<unknown>, bigints: boolean) {
  yield* withModes(prepared, bigints, false).iterate(...toInputs(params))
}

const values = (prepared: Prepared, params: ReadonlyArray<unknown>, bigints: boolean) => {
  const rows: ReadonlyArray<unknown> = withModes(prepared, bigints, true).all(...toInputs(params))
  return areArrays(rows) ? rows : []
}

/** Runs every statement of the text and answers with the rows of the last. */
const script = (database: DatabaseSync, sql: string, params: ReadonlyArray<unknown>, bigints: boolean) => {
  if (params.length > 0) return all(prepare(database, sql), params, bigints)
  let rest = sql
  let rows: ReadonlyArray<object>
  do {
    const prepared = prepareFirst(database, rest)
    rows = all(prepared, params, bigints)
    rest = tail(prepared, rest)
  } while (rest !== "")
  return rows
}

const take = (cursor: Iterator<object>, count: number): ReadonlyArray<object> => {
  const rows: Array<object> = []
  while (rows.length < count) {
    const next = cursor.next()
    if (next.done === true) break
    rows.push(next.value)
  }
  return rows
}

/** Setting a mode is a native call: most statements never change theirs. */
const withModes = (prepared: Prepared, bigints: boolean, arrays: boolean): StatementSync => {
  if (prepared.bigints !== bigints) {
    prepared.statement.setReadBigInts(bigints)
    prepared.bigints = bigints
  }
  if (prepared.arrays !== arrays) {
    prepared.statement.setReturnArrays(arrays)
    prepared.arrays = arrays
  }
  return prepared.statement
}

// Rows are all arrays or all objects.
const areArrays = (rows: ReadonlyArray<unknown>): rows is ReadonlyArray<ReadonlyArray<unknown>> =>
  rows.length === 0 || Array.isArray(rows[0])

// preparing

/**
 * Two generations instead of a strict order: a hit in the young one costs a single lookup, and what was not used while
 * the young one filled up is dropped with the old one.
 */
const makeStatementCache = (database: DatabaseSync, size: number) => {
  const half = Math.max(1, Math.ceil(size / 2))
  let young = new Map<string, Prepared>()
  let old = new Map<string, Prepared>()
  return (sql: string): Prepared => {
    const hit = young.get(sql)
    if (hit !== undefined) return hit
    const prepared = old.get(sql) ?? prepare(database, sql)
    if (young.size >= half) {
      old = young
      young = new Map()
    }
    young.set(sql, prepared)
    return prepared
  }
}

/** `node:sqlite` silently ignores whatever follows the first statement. */
const prepare = (database: DatabaseSync, sql: string): Prepared => {
  const prepared = prepareFirst(database, sql)
  if (tail(prepared, sql) === "") return prepared
  const message = "Only `unprepared`, and only without parameters, runs more than one statement"
  throw new SqlError.SqlError({
    reason: new SqlError.SqlSyntaxError({ cause: new Error(message), message, operation: "prepare" })
  })
}

const prepareFirst = (database: DatabaseSync, sql: string): Prepared => {
  try {
    const statement = database.prepare(sql)
    return { statement, returnsRows: statement.columns().length > 0, bigints: false, arrays: false }
  } catch (cause) {
    throw toSqlError(cause, "prepare")
  }
}

/** What follows the prepared statement, without blanks and comments in front of it. */
const tail = ({ statement }: Prepared, sql: string): string =>
  sql.slice(statement.sourceSQL.length).replace(/^(?:[\s;]|--[^\n]*|\/\*[^]*?(?:\*\/|$))*/u, "")

// parameters

const toInputs = (params: ReadonlyArray<unknown>): ReadonlyArray<SQLInputValue> =>
  params.every(isInput) ? params : params.map(toInput)

const isInput = (value: unknown): value is SQLInputValue => {
  switch (typeof value) {
    case "string":
    case "number":
    case "bigint":
      return true
    default:
      return value === null || ArrayBuffer.isView(value)
  }
}

const toInput = (value: unknown): SQLInputValue => {
  if (isInput(value)) return value
  if (value === undefined) return null
  if (typeof value === "boolean") return value ? 1 : 0
  if (value instanceof Date) return value.toISOString()
  // node:sqlite would read an object as a record of named parameters
  throw new TypeError(`Cannot bind ${typeof value} as a parameter`)
}

// errors

const SQLITE_ERROR = 1
const SQLITE_BUSY = 5
const SQLITE_READONLY = 8
const SQLITE_CONSTRAINT_PRIMARYKEY = 1555
const SQLITE_CONSTRAINT_UNIQUE = 2067
const SQLITE_CONSTRAINT_ROWID = 2579

interface SqliteCause extends Error {
  readonly errcode: number
}

const isSqliteCause = (cause: unknown): cause is SqliteCause =>
  cause instanceof Error && Predicate.hasProperty(cause, "errcode") && typeof cause.errcode === "number"

const primaryCode = (cause: SqliteCause): number => cause.errcode & 0xff

const isBusy = (cause: unknown): boolean => isSqliteCause(cause) && primaryCode(cause) === SQLITE_BUSY

type Operation = "open" | "prepare" | "execute"

const toSqlError = (cause: unknown, operation: Operation): SqlError.SqlError =>
  SqlError.isSqlError(cause) ? cause : new SqlError.SqlError({ reason: toReason(cause, operation) })

const toReason = (cause: unknown, operation: Operation): SqlError.SqlErrorReason => {
  const message = cause instanceof Error ? cause.message : String(cause)
  if (!isSqliteCause(cause)) return new SqlError.UnknownError({ cause, message, operation })
  if (primaryCode(cause) === SQLITE_READONLY) return new SqlError.AuthorizationError({ cause, message, operation })
  if (cause.errcode === SQLITE_ERROR && operation === "prepare") {
    return new SqlError.SqlSyntaxError({ cause, message, operation })
  }
  // Effect reads the result code from `errno`.
  return SqlError.classifySqliteError(Object.assign(cause, { errno: uniqueCode(cause.errcode) }), {
    message,
    operation
  })
}

/** A taken primary key is a unique violation here as it is in every other database. */
const uniqueCode = (code: number): number =>
  code === SQLITE_CONSTRAINT_PRIMARYKEY || code === SQLITE_CONSTRAINT_ROWID ? SQLITE_CONSTRAINT_UNIQUE : code
