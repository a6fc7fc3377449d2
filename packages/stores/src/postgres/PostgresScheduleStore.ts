/**
 * The progress of schedules, in a PostgreSQL database.
 *
 * @since 0.1.0
 */
import { ScheduleStore } from "@fastagentic/core/runtime/ScheduleStore"
import { Effect, Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { makeSchedules } from "../sql/schedules.ts"
import { answered } from "./internal/withTimeout.ts"
import * as migrations from "./migrations.ts"

/**
 * Creates the table when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<ScheduleStore, MigrationError | SqlError, SqlClient> = Layer.effect(
  ScheduleStore,
  Effect.map(SqlClient, (sql) => makeSchedules(sql, answered))
).pipe(Layer.provide(migrations.layer))
