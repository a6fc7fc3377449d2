/**
 * Writes that share their commits, because flushing the disk costs more than the writes themselves.
 *
 * @since 0.1.0
 */
import { Context, Effect, Exit, Layer, Scheduler } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"

/**
 * The writer that all stores of a file use for what every call writes.
 *
 * **Details**
 *
 * All waiting writes are one transaction, in the order of their arrival. If one fails, it alone is rolled back: the
 * transaction is repeated, and each write is a savepoint of its own then. A write may therefore run twice. Callers get
 * their answers after the commit. Inside a transaction of the caller, a write is part of that transaction.
 *
 * @category services
 * @since 0.1.0
 */
export class SqliteWriter extends Context.Service<SqliteWriter, {
  readonly write: <A, E>(body: (connection: Connection) => Effect.Effect<A, E>) => Effect.Effect<A, E | SqlError>
}>()("@fastagentic/stores/sqlite/SqliteWriter") {}

/** The most writes of one transaction: it blocks the event loop until it ends. */
const most = 256

interface Waiting {
  /** Fails when its body fails. */
  readonly write: (connection: Connection) => Effect.Effect<void, typeof failed>
  /** Fails only when nothing more can be written in this transaction. */
  readonly writeApart: (connection: Connection) => Effect.Effect<void, SqlError>
  readonly done: (committed: Effect.Effect<void, SqlError>) => void
}

/**
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<SqliteWriter["Service"], never, SqlClient.SqlClient> = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const waiting: Array<Waiting> = []
  let writing = false

  const writeAll = <E>(
    group: ReadonlyArray<Waiting>,
    one: (waiting: Waiting) => (to: Connection) => Effect.Effect<void, E>
  ) =>
    Effect.withFiber<void, E>((fiber) => {
      const [connection] = Context.getUnsafe(fiber.context, sql.transactionService)
      return Effect.forEach(group, (waiting) => one(waiting)(connection), { discard: true })
    }).pipe(sql.withTransaction)

  // A savepoint costs a copy of each page that is changed after it: savepoints are only set once a write has failed.
  const commit = (group: ReadonlyArray<Waiting>): Effect.Effect<void, SqlError> =>
    Effect.catchTag(
      writeAll(group, ({ write }) => write),
      "WriteFailed",
      () => writeAll(group, ({ writeApart }) => writeApart)
    )

  const writeWaiting: Effect.Effect<void> = Effect.suspend(() => {
    if (waiting.length === 0) {
      writing = false
      return Effect.void
    }
    const group = waiting.splice(0, most)
    return commit(group).pipe(
      Effect.exit,
      Effect.flatMap((committed) => {
        for (const { done } of group) done(committed)
        return next
      })
    )
  })

  /** Yields first, so that callers that the last commit answered can write again. */
  const next = Effect.andThen(Effect.yieldNow, writeWaiting)

  const enqueue = (one: Waiting) => {
    waiting.push(one)
    if (writing) return
    writing = true
    // A transaction runs without yielding: other clients of the file block their thread until it ends.
    run(Effect.provideService(Effect.uninterruptible(next), Scheduler.PreventSchedulerYield, true))
  }

  return SqliteWriter.of({
    write: <A, E>(body: (connection: Connection) => Effect.Effect<A, E>) =>
      Effect.withFiber<A, E | SqlError>((fiber) => {
        const transaction = Context.getOrUndefined(fiber.context, sql.transactionService)
        if (transaction !== undefined) return sql.withTransaction(body(transaction[0]))
        return Effect.callback<A, E | SqlError>((resume) => {
          let written: Exit.Exit<A, E> | undefined
          enqueue({
            write: (connection) =>
              Effect.flatMap(Effect.exit(body(connection)), (exit) => {
                written = exit
                return Exit.isSuccess(exit) ? Effect.void : Effect.fail(failed)
              }),
            writeApart: (connection) =>
              connection.execute("SAVEPOINT write", [], undefined).pipe(
                Effect.andThen(Effect.exit(body(connection))),
                Effect.flatMap((exit) => {
                  written = exit
                  return Exit.isSuccess(exit) ? Effect.void : connection.execute("ROLLBACK TO write", [], undefined)
                }),
                Effect.andThen(connection.execute("RELEASE write", [], undefined))
              ),
            done: (committed) => resume(Effect.andThen(committed, written ?? Effect.die(unanswered)))
          })
        })
      })
  })
})

const failed = { _tag: "WriteFailed" } as const

const unanswered = new Error("a transaction was committed without one of its writes")

/** One writer for all stores of a client. @category layers @since 0.1.0 */
export const layer: Layer.Layer<SqliteWriter, never, SqlClient.SqlClient> = Layer.effect(SqliteWriter, make)
