/**
 * Stores with the engine that spreads runs, on one client: in the place of `Sqlite.layer` or `Postgres.layer`.
 *
 * @since 0.1.0
 */
import { type Config, Layer } from "effect"
import type { ServeError } from "effect/http/HttpServerError"
import type { MigrationError } from "effect/sql/Migrator"
import type { SqlError } from "effect/sql/SqlError"
import { freshLayer } from "../internal/freshLayer.ts"
import type { ServerStores } from "../internal/stores.ts"
import * as Postgres from "../postgres/Postgres.ts"
import * as Sqlite from "../sqlite/Sqlite.ts"
import * as SqliteClient from "../sqlite/SqliteClient.ts"
import * as SqliteFile from "../sqlite/SqliteFile.ts"
import * as ClusterEngine from "./ClusterEngine.ts"

/**
 * @category options
 * @since 0.1.0
 */
export interface PostgresOptions extends Postgres.Options {
  /** The address at which other nodes reach this one. */
  readonly node?: ClusterEngine.Options | undefined
}

/**
 * One process on a file, with the embedded engine.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSqlite = (
  options: Omit<SqliteClient.Options, "readonly" | "exclusive">
): Layer.Layer<
  Sqlite.Stores | SqliteFile.SqliteFile,
  Config.ConfigError | MigrationError | SqlError | SqliteClient.SqliteLocked
> =>
  Layer.mergeAll(Sqlite.layerNoClient, ClusterEngine.layerEmbedded, SqliteFile.layerShrinking).pipe(
    Layer.provide(SqliteClient.layer({ ...options, exclusive: true })),
    freshLayer
  )

/**
 * One of many nodes on a database, with the clustered engine.
 *
 * **Example** (One of two machines)
 *
 * ```ts
 * import { ClusterStores } from "@fastagentic/stores/cluster"
 * import { Redacted } from "effect"
 *
 * const Stores = ClusterStores.layerPostgres({
 *   url: Redacted.make("postgres://acme@db.internal/acme"),
 *   node: { host: "10.0.0.7", port: 34_431 }
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPostgres = (
  { node, ...options }: PostgresOptions
): Layer.Layer<ServerStores, Config.ConfigError | MigrationError | SqlError | ServeError> =>
  Layer.mergeAll(Postgres.layerNoClient(options), ClusterEngine.layerCluster(node)).pipe(
    Layer.provide(Postgres.layerClient(options)),
    freshLayer
  )
