/**
 * Effect's `SqlClient` over `node:sqlite`: one file, one connection, nothing to install.
 *
 * @since 0.1.0
 */
import { Config, Context, type Duration, Effect, Layer, type Scope, Semaphore } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import type { DatabaseSync } from "node:sqlite"
import { makeBackup } from "./internal/backup.ts"
import { makeConnection } from "./internal/connection.ts"
import { SqliteLocked } from "./internal/locked.ts"
import { openDatabase } from "./internal/openDatabase.ts"
import { makeSameFile } from "./internal/sameFile.ts"
import { makeShrink } from "./internal/shrink.ts"
import { SqliteFile } from "./SqliteFile.ts"

export { SqliteLocked }

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
   * Keeps every other client from opening the file until this one closes. Opening fails within a quarter of a second,
   * whatever the `busyTimeout`, when another client has it open.
   *
   * The lock is the operating system's: it ends with the process, however that ends. On POSIX it also ends when the
   * same process opens and closes the file by other means (`fs.readFile`, another SQLite library).
   */
  readonly exclusive?: boolean | undefined
  /** How long to wait for another process' lock, blocking the event loop. Defaults to 5 seconds. */
  readonly busyTimeout?: Duration.Input | undefined
  /** How many prepared statements to keep, the least recently used are dropped first. Defaults to 256. */
  readonly statementCacheSize?: number | undefined
  readonly spanAttributes?: Readonly<Record<string, unknown>> | undefined
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
) => Effect.Effect<SqlClient.SqlClient, SqlError | SqliteLocked, Scope.Scope | Reactivity.Reactivity> = (options) =>
  Effect.flatMap(openDatabase(options), (database) => makeClient(database, options))

const makeClient = Effect.fnUntraced(function*(database: DatabaseSync, options: Options) {
  return yield* SqlClient.make({
    ...SqlClient.makeSqliteAcquirers({
      connection: Effect.succeed(
        makeConnection(database, options.statementCacheSize ?? 256, makeSameFile(options.filename))
      ),
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

const makeContext = Effect.fnUntraced(function*(options: Options) {
  const database = yield* openDatabase(options)
  const sql = yield* makeClient(database, options)
  return Context.make(SqlClient.SqlClient, sql).pipe(
    Context.add(SqliteFile, { copyTo: makeBackup(database), shrink: makeShrink(sql) })
  )
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<SqlClient.SqlClient | SqliteFile, SqlError | SqliteLocked> =>
  Layer.effectContext(makeContext(options)).pipe(Layer.provide(Reactivity.layer))

/**
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<Options>
): Layer.Layer<SqlClient.SqlClient | SqliteFile, Config.ConfigError | SqlError | SqliteLocked> =>
  Layer.effectContext(Effect.flatMap(Config.unwrap(config), makeContext)).pipe(Layer.provide(Reactivity.layer))
