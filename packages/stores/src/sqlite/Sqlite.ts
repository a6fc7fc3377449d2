/**
 * All stores of one server in one SQLite file.
 *
 * @since 0.1.0
 */
import { type Config, Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { freshLayer } from "../internal/freshLayer.ts"
import type { Stores } from "../internal/stores.ts"
import * as SqliteApiKeys from "./SqliteApiKeys.ts"
import * as SqliteAudit from "./SqliteAudit.ts"
import * as SqliteBudgetStore from "./SqliteBudgetStore.ts"
import * as SqliteClient from "./SqliteClient.ts"
import * as SqliteFile from "./SqliteFile.ts"
import * as SqlitePushStore from "./SqlitePushStore.ts"
import * as SqliteRateCounters from "./SqliteRateCounters.ts"
import * as SqliteRunStore from "./SqliteRunStore.ts"
import * as SqliteScheduleStore from "./SqliteScheduleStore.ts"
import * as SqliteSharedNotes from "./SqliteSharedNotes.ts"

export type { Stores }

/**
 * Every store on a given `SqlClient`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<Stores, Config.ConfigError | MigrationError | SqlError, SqlClient> = Layer
  .mergeAll(
    SqliteRunStore.layerNoClient,
    SqliteAudit.layerNoClient,
    SqliteApiKeys.layerNoClient,
    SqliteBudgetStore.layerNoClient,
    SqliteRateCounters.layerNoClient,
    SqlitePushStore.layerNoClient,
    SqliteScheduleStore.layerNoClient,
    SqliteSharedNotes.layerNoClient
  )

/**
 * Opens the file, brings its tables up to date, and closes it with the scope.
 *
 * **Gotchas**
 *
 * The file is opened `exclusive` unless the options say otherwise: a second server on it fails with `SqliteLocked`
 * instead of taking over the runs of the first.
 *
 * **Example** (Keeping runs in a file)
 *
 * ```ts
 * import { Sqlite } from "@fastagentic/stores/sqlite"
 *
 * const Stores = Sqlite.layer({ filename: "./data/acme.db" })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Omit<SqliteClient.Options, "readonly">
): Layer.Layer<
  Stores | SqliteFile.SqliteFile,
  Config.ConfigError | MigrationError | SqlError | SqliteClient.SqliteLocked
> =>
  Layer.merge(layerNoClient, SqliteFile.layerShrinking).pipe(
    Layer.provide(SqliteClient.layer({ ...options, exclusive: options.exclusive ?? true })),
    freshLayer
  )
