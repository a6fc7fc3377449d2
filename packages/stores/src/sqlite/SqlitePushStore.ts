/**
 * Push targets, in a SQLite database.
 *
 * @since 0.1.0
 */
import { PushStore } from "@fastagentic/core/store/PushStore"
import { Effect, Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { makePushTargets } from "../sql/pushTargets.ts"
import { unavailable } from "../sql/unavailable.ts"
import * as migrations from "./migrations.ts"

/**
 * Creates the table when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<PushStore, MigrationError | SqlError, SqlClient> = Layer.effect(
  PushStore,
  Effect.map(SqlClient, (sql) => makePushTargets(sql, unavailable))
).pipe(Layer.provide(migrations.layer))
