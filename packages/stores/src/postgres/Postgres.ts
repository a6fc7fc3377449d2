/**
 * All stores that the nodes of a cluster share, in one PostgreSQL database.
 *
 * @since 0.1.0
 */
import { PgClient } from "@effect/sql-pg"
import { type Config, Effect, Layer, type Redacted } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import { freshLayer } from "../internal/freshLayer.ts"
import type { ServerStores } from "../internal/stores.ts"
import { settingsOf } from "./internal/connection.ts"
import * as PostgresApiKeys from "./PostgresApiKeys.ts"
import * as PostgresAudit from "./PostgresAudit.ts"
import * as PostgresBlobStore from "./PostgresBlobStore.ts"
import * as PostgresBudgetStore from "./PostgresBudgetStore.ts"
import * as PostgresPushStore from "./PostgresPushStore.ts"
import * as PostgresRateCounters from "./PostgresRateCounters.ts"
import * as PostgresRunNotifier from "./PostgresRunNotifier.ts"
import * as PostgresRunStore from "./PostgresRunStore.ts"
import * as PostgresScheduleStore from "./PostgresScheduleStore.ts"
import * as PostgresSharedNotes from "./PostgresSharedNotes.ts"

/**
 * The URL of the database, and how to use it.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options
  extends
    Omit<PgClient.PgPoolConfig, "transformJson" | "transformQueryNames" | "transformResultNames" | "types">,
    PostgresRunStore.Options
{
  /**
   * `postgres://user:password@host/database`, with the options of a libpq URL. Off this machine the connection is
   * encrypted and the certificate verified, unless `sslmode=disable` says otherwise; `sslrootcert` is the file of a
   * certificate authority. An option that is not understood is refused.
   */
  readonly url: Redacted.Redacted
  /** The schema of all tables, created when missing, which keeps apps in one database apart. Also `?schema=` in the URL. */
  readonly schema?: string | undefined
}

/**
 * Every store on a given client.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient = (
  options: PostgresRunStore.Options = {}
): Layer.Layer<
  ServerStores,
  Config.ConfigError | MigrationError | SqlError,
  PgClient.PgClient | SqlClient
> =>
  Layer.mergeAll(
    PostgresRunStore.layerNoClient(options),
    PostgresAudit.layerNoClient,
    PostgresBudgetStore.layerNoClient,
    PostgresApiKeys.layerNoClient,
    PostgresBlobStore.layerNoClient,
    PostgresRateCounters.layerNoClient,
    PostgresPushStore.layerNoClient,
    PostgresScheduleStore.layerNoClient,
    PostgresSharedNotes.layerNoClient,
    PostgresRunNotifier.layerNoClient
  )

/**
 * Connects to the database, brings its tables up to date, and provides `RunNotifier` with the commits of other nodes.
 *
 * **Details**
 *
 * The pool has up to 10 connections unless the options say otherwise, at least 2, of which one listens; one more renews
 * the node's lease. An idle connection is probed every half minute, so that a silently dropped one is noticed.
 *
 * **Example** (Keeping runs in PostgreSQL)
 *
 * ```ts
 * import { Postgres } from "@fastagentic/stores/postgres"
 * import { Redacted } from "effect"
 *
 * const Stores = Postgres.layer({ url: Redacted.make("postgres://acme@db.internal/acme") })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<
  ServerStores,
  Config.ConfigError | MigrationError | SqlError
> => freshLayer(Layer.provide(layerNoClient(options), layerClient(options)))

/**
 * The client of `layer`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient = (
  options: Options
): Layer.Layer<PgClient.PgClient | SqlClient, Config.ConfigError | SqlError> =>
  Layer.unwrap(
    Effect.map(Effect.mapError(Effect.fromResult(settingsOf(options.url, options)), unusableUrl), (settings) => {
      const { schema, ...connection } = settings
      const client = PgClient.layer({
        applicationName: "fastagentic",
        keepAlive: "30 seconds",
        maxMessageSize: 2 ** 30,
        ...options,
        ...connection
      })
      return schema === undefined ? client : Layer.provideMerge(Layer.effectDiscard(createSchema(schema)), client)
    })
  )

const unusableUrl = (problem: string) => {
  const message = `The URL of PostgreSQL cannot be used: ${problem}`
  return new SqlError({ reason: new ConnectionError({ cause: new Error(message), message, operation: "connect" }) })
}

/** Nodes that start together may both try to create it: the one that comes second finds it. */
const createSchema = (schema: string) =>
  Effect.flatMap(SqlClient, (sql) => sql`CREATE SCHEMA IF NOT EXISTS ${sql(schema)}`).pipe(Effect.retry({ times: 3 }))
