// SQLite's online backup of the one connection that a client has; SqliteClient.layer offers it as part of SqliteFile.
// Its steps run in a thread beside this one. SQLite refuses a step while the connection has an open transaction, so that the
// copy is of one commit; what is committed meanwhile is copied again.
import { Effect, Schedule } from "effect"
import { closeSync, existsSync, openSync, renameSync, rmSync, statSync } from "node:fs"
import type { DatabaseSync } from "node:sqlite"
import { BackupFailed } from "../SqliteFile.ts"

/** How many pages one step copies: the connection waits for that long. */
const rate = 64

export const makeBackup = (database: DatabaseSync) => (target: string): Effect.Effect<number, BackupFailed> => {
  const failed = (problem: string) => new BackupFailed({ target, problem })
  const partial = `${target}.partial`
  const remove = Effect.sync(() => rmSync(partial, { force: true }))
  if (existsSync(target)) return Effect.fail(failed("the file exists"))
  // Only its user may read the copy.
  return Effect.try(() => closeSync(openSync(partial, "w", 0o600))).pipe(
    Effect.andThen(copy(database, partial)),
    Effect.andThen(Effect.try(() => {
      renameSync(partial, target)
      return statSync(target).size
    })),
    Effect.mapError(({ cause }) => failed(cause instanceof Error ? cause.message : String(cause))),
    Effect.ensuring(remove),
    Effect.withSpan("SqliteFile.copyTo")
  )
}

/** Node gives up when the first step finds a transaction open, without an error of SQLite: then it is asked again. */
const copy = (database: DatabaseSync, target: string) =>
  Effect.tryPromise(() => process.getBuiltinModule("node:sqlite").backup(database, target, { rate })).pipe(
    Effect.uninterruptible,
    Effect.retry({
      while: ({ cause }) => cause instanceof Error && "errcode" in cause && unlucky.has(cause.errcode),
      schedule: Schedule.spaced("5 millis"),
      times: 1_000
    })
  )

/** No error, and SQLITE_BUSY. */
const unlucky = new Set<unknown>([0, 5])
