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
import * as Output from "./internal/output.ts"
import * as StoreFlags from "./internal/storeFlags.ts"
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
    store: StoreFlags.fileFlag("store"),
    json: Output.json
  },
  Effect.fnUntraced(function*({ json, store, target: given }) {
    const target = resolve(given)
    const { file, shown } = yield* Store.existing(store)
    if (file === undefined) return yield* new BackupNeedsAFile({ store: shown })
    const bytes = (yield* BackupSocket.ask(file, target)) ?? (yield* copyClosed(file, target))
    const elsewhere = yield* Config.withDefault(Config.String("FASTAGENTIC_BLOBS"), "")
    // The blobs follow the database: a blob is written before the commit that refers to it.
    const blobs = elsewhere === "" ? yield* copyNewFiles(`${file}.blobs`, `${target}.blobs`) : 0
    const lines = [
      `${target} ${bytes} bytes`,
      ...(blobs > 0 ? [`${target}.blobs ${Output.counted(blobs, "blob")}`] : [])
    ]
    yield* Output.print(json, { file: target, bytes, blobs }, () => lines.join("\n"))
    if (elsewhere !== "") yield* Console.error("Blobs in FASTAGENTIC_BLOBS are not part of this backup")
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
