/**
 * Writes that share their commits: a flush of the disk costs more than all that is in it.
 *
 * @since 0.1.0
 */
import { Context, Effect, Exit, Layer, Scheduler } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"

/**
 * The one way in which the stores of a file write what comes with every call.
 *
 * **Details**
 *
 * Whatever waits is written in one transaction, in the order in which it came. Each write is a savepoint of its own: when
 * it fails it is taken back, and the others are not. Nobody is answered before the commit. Inside of a transaction that
 * somebody has begun, a write belongs to that.
 *
 * @category services
 * @since 0.1.0
 */
export class SqliteWriter extends Context.Service<SqliteWriter, {
  readonly write: <A, E>(body: (connection: Connection) => Effect.Effect<A, E>) => Effect.Effect<A, E | SqlError>
}>()("@fastagentic/stores/sqlite/SqliteWriter") {}

/** How many writes a transaction has at most: for as long as it takes, nothing else runs. */
const most = 256

interface Waiting {
  /** Fails only when nothing more can be written in this transaction. */
  readonly write: (connection: Connection) => Effect.Effect<void, SqlError>
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

  const writeAll = (group: ReadonlyArray<Waiting>) =>
    Effect.withFiber<void, SqlError>((fiber) => {
      const [connection] = Context.getUnsafe(fiber.context, sql.transactionService)
      return Effect.forEach(group, ({ write }) => write(connection), { discard: true })
    })

  const writeWaiting: Effect.Effect<void> = Effect.suspend(() => {
    if (waiting.length === 0) {
      writing = false
      return Effect.void
    }
    const group = waiting.splice(0, most)
    return writeAll(group).pipe(
      sql.withTransaction,
      Effect.exit,
      Effect.flatMap((committed) => {
        for (const { done } of group) done(committed)
        return next
      })
    )
  })

  /** Lets those come whom the last commit has answered. */
  const next = Effect.andThen(Effect.yieldNow, writeWaiting)

  const enqueue = (one: Waiting) => {
    waiting.push(one)
    if (writing) return
    writing = true
    // In one go from its begin to its end: other clients of the file wait for a transaction with the thread standing still.
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

const unanswered = new Error("a transaction was committed without one of its writes")

/** One writer for all stores of a client. @category layers @since 0.1.0 */
export const layer: Layer.Layer<SqliteWriter, never, SqlClient.SqlClient> = Layer.effect(SqliteWriter, make)
