/**
 * API keys in a PostgreSQL database.
 *
 * @since 0.1.0
 */
import { ApiKeyStore } from "@fastagentic/core/door/ApiKeys"
import { Effect, Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { makeApiKeys } from "../sql/apiKeys.ts"
import { answered } from "./internal/withTimeout.ts"
import * as migrations from "./migrations.ts"

/**
 * Keys on a given `SqlClient`; the table must exist.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<ApiKeyStore["Service"], never, SqlClient> = Effect.map(
  SqlClient,
  (sql) => makeApiKeys(sql, answered)
)

/**
 * Creates the table when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<ApiKeyStore, MigrationError | SqlError, SqlClient> = Layer.effect(
  ApiKeyStore,
  make
).pipe(Layer.provide(migrations.layer))
