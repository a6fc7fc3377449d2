/**
 * API keys in a SQLite database.
 *
 * @since 0.1.0
 */
import { ApiKeyStore } from "@fastagentic/core/door/ApiKeys"
import { Effect, Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { freshLayer } from "../internal/freshLayer.ts"
import { makeApiKeys } from "../sql/apiKeys.ts"
import { unavailable } from "../sql/unavailable.ts"
import * as migrations from "./migrations.ts"
import * as SqliteClient from "./SqliteClient.ts"

/**
 * Keys on a given `SqlClient`; the table must exist.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<ApiKeyStore["Service"], never, SqlClient.SqlClient> = Effect.map(
  SqlClient.SqlClient,
  (sql) => makeApiKeys(sql, unavailable)
)

/**
 * Creates the table when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<ApiKeyStore, MigrationError | SqlError, SqlClient.SqlClient> = Layer.effect(
  ApiKeyStore,
  make
).pipe(Layer.provide(migrations.layer))

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: SqliteClient.Options
): Layer.Layer<ApiKeyStore, MigrationError | SqlError | SqliteClient.SqliteLocked> =>
  freshLayer(Layer.provide(layerNoClient, SqliteClient.layer(options)))
