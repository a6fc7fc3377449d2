/**
 * The file of a SQLite database as a whole: a copy of it while others read and write, and giving room back.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Schema } from "effect"
import type { SqlError } from "effect/sql/SqlError"

/** The copy could not be made; nothing is left of it. @category errors @since 0.1.0 */
export class BackupFailed extends Schema.TaggedError<BackupFailed>()("BackupFailed", {
  target: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `No backup at "${this.target}": ${this.problem}`
  }
}

/** @category services @since 0.1.0 */
export class SqliteFile extends Context.Service<SqliteFile, {
  /** Copies the database, as it is after one of its commits, to a file that does not exist, and gives its size in bytes. */
  readonly copyTo: (target: string) => Effect.Effect<number, BackupFailed>
  /**
   * Gives the room of removed rows back to the file system, in small transactions, until no more than `keep` pages are free
   * or `most` were given back. Gives the number of pages.
   */
  readonly shrink: (options: { readonly keep: number; readonly most: number }) => Effect.Effect<number, SqlError>
}>()("@fastagentic/stores/sqlite/SqliteFile") {}

/** How often a server looks for free room. */
const interval = "10 seconds"
/** Free pages that stay, 4 MiB: what is written next needs them. */
const keep = 1_024
/** How many pages are given back in one look, 100 MiB. */
const most = 25_600

/**
 * Gives the room of removed rows back in the background.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerShrinking: Layer.Layer<SqliteFile, never, SqliteFile> = Layer.effect(
  SqliteFile,
  Effect.tap(SqliteFile, (file) =>
    Effect.forkScoped(Effect.forever(
      Effect.sleep(interval).pipe(
        Effect.andThen(file.shrink({ keep, most })),
        Effect.catch((error) => Effect.logWarning("Free room could not be given back", error))
      )
    )))
)
