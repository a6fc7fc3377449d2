/**
 * `fastagentic store`: a SQLite store as a whole.
 *
 * @since 0.1.0
 */
import { SqliteClient, SqliteFile } from "@fastagentic/stores/sqlite"
import { Config, Console, Effect, Layer, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import { resolve } from "node:path"
import * as BackupSocket from "./BackupSocket.ts"
import { copyNewFiles } from "./internal/copyNewFiles.ts"
import * as Store from "./Store.ts"

/** Databases have tools of their own for this. @category errors @since 0.1.0 */
export class BackupNeedsAFile extends Schema.TaggedError<BackupNeedsAFile>()("BackupNeedsAFile", {
  store: Schema.String
}) {
  override get message() {
    return `${this.store} is no SQLite file: back a database up with its own tools`
  }
}

const backup = Command.make(
  "backup",
  {
    target: Argument.String("target").pipe(
      Argument.withDescription("The file to make, with its blobs in <target>.blobs")
    ),
    store: Store.fileFlag("store")
  },
  Effect.fnUntraced(function*({ store, target: given }) {
    const target = resolve(given)
    const { file, shown } = yield* Store.existing(store)
    if (file === undefined) return yield* new BackupNeedsAFile({ store: shown })
    const bytes = (yield* BackupSocket.ask(file, target)) ?? (yield* copyClosed(file, target))
    yield* Console.log(`${target} ${bytes} bytes`)
    const elsewhere = yield* Config.withDefault(Config.String("FASTAGENTIC_BLOBS"), "")
    if (elsewhere !== "") return yield* Console.error("Blobs in FASTAGENTIC_BLOBS are not part of this backup")
    // The blobs follow the database: a blob is written before the commit that refers to it.
    const blobs = yield* copyNewFiles(`${file}.blobs`, `${target}.blobs`)
    if (blobs > 0) yield* Console.log(`${target}.blobs ${blobs} ${blobs === 1 ? "blob" : "blobs"}`)
  })
).pipe(Command.withDescription("Copy a SQLite store with its blobs while its server runs, or does not"))

/** The file has no server: nobody else may open it until it is copied. */
const copyClosed = (file: string, target: string) =>
  Effect.scoped(Effect.flatMap(
    Layer.build(SqliteClient.layer({ filename: file, exclusive: true })),
    (context) => Effect.provideContext(SqliteFile.SqliteFile.use(({ copyTo }) => copyTo(target)), context)
  )).pipe(
    Effect.catchTag("SqliteLocked", () => Effect.fail(new Store.StoreInUse({ store: file }))),
    Effect.catchTag(
      "SqlError",
      ({ message }) => Effect.fail(new Store.UnusableStore({ store: file, problem: message }))
    )
  )

/** @category commands @since 0.1.0 */
export const command = Command.make("store").pipe(
  Command.withDescription("A SQLite store as a whole"),
  Command.withSubcommands([backup])
)
