import type { ScheduleStore } from "@fastagentic/core/runtime/ScheduleStore"
import { Effect, Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Unavailable } from "./unavailable.ts"

/** Marks of schedules in SQL that all databases of ours understand. */
export const makeSchedules = (sql: SqlClient, unavailable: Unavailable): ScheduleStore["Service"] => ({
  get: (key) =>
    sql`SELECT version, upto, fired, paused FROM schedules WHERE id = ${key}`.pipe(
      Effect.flatMap(decodeRows),
      Effect.map(([row]) => row === undefined ? undefined : toMark(key, row)),
      unavailable("read schedule")
    ),

  set: ({ fired = null, key, paused, upto, version }) => {
    const isPaused = paused ? 1 : 0
    const written = version === 1
      ? sql`
        INSERT INTO schedules (id, version, upto, fired, paused)
        VALUES (${key}, ${version}, ${upto}, ${fired}, ${isPaused})
        ON CONFLICT (id) DO NOTHING RETURNING id`
      : sql`
        UPDATE schedules SET version = ${version}, upto = ${upto}, fired = ${fired}, paused = ${isPaused}
        WHERE id = ${key} AND version = ${version - 1} RETURNING id`
    return written.pipe(Effect.map((rows) => rows.length > 0), unavailable("write schedule"))
  }
})

const Int = Schema.Union([Schema.Int, Schema.BigInt])
const Row = Schema.Struct({ version: Int, upto: Int, fired: Schema.NullOr(Int), paused: Int })
const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))

const toMark = (key: string, { fired, paused, upto, version }: typeof Row.Type) => ({
  key,
  version: Number(version),
  upto: Number(upto),
  paused: Number(paused) === 1,
  ...(fired === null ? {} : { fired: Number(fired) })
})
