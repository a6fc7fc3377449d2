// `RunStore.transact` for both SQL databases: the effect and its commit are stored together or not at all.
import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import type { Commit, RunStore, Written } from "@fastagentic/core/store/RunStore"
import { Effect, Exit } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { unavailable } from "./unavailable.ts"

/** Runs the caller's effect and a commit in one transaction; `write` runs inside it. */
export const makeTransact = (
  sql: SqlClient,
  write: (commit: Commit) => Effect.Effect<Written, SqlError | StoreUnavailable>
): NonNullable<RunStore["Service"]["transact"]> =>
<A, E, R>(body: Effect.Effect<A, E, R | SqlClient>, commit: (value: A) => Commit) =>
  Effect.gen(function*() {
    const value = yield* Effect.mapError(body, (error) => new Undone<A, E>(Exit.fail(error)))
    const written = yield* write(commit(value))
    const answer = [value, written] as const
    return written._tag === "Committed" ? answer : yield* Effect.fail(new Undone<A, E>(Exit.succeed(answer)))
  }).pipe(
    Effect.provideService(SqlClient, sql),
    sql.withTransaction,
    Effect.catch((error): Effect.Effect<readonly [A, Written], E | StoreUnavailable> => {
      return error instanceof Undone ? error.exit : unavailable("transact")(Effect.fail(error))
    })
  )

/** The result of a transaction that is rolled back. */
class Undone<A, E> {
  readonly exit: Exit.Exit<readonly [A, Written], E>
  constructor(exit: Exit.Exit<readonly [A, Written], E>) {
    this.exit = exit
  }
}
