// Marks of schedules in SQL that all our databases understand; the schedule stores of SQLite and PostgreSQL are made of it.
import { Mark, type ScheduleStore } from "@fastagentic/core/runtime/ScheduleStore"
import { Effect, Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { withFacts } from "./facts.ts"
import { identityOf } from "./runReads.ts"
import type { Unavailable } from "./unavailable.ts"

/** A database orders texts as bytes or as UTF-16; keys are in one order on every store. */
const byKey = (a: Mark, b: Mark) => a.key < b.key ? -1 : 1

export const makeSchedules = (sql: SqlClient, unavailable: Unavailable): ScheduleStore["Service"] => ({
  get: (key) =>
    sql`SELECT ${sql.literal(columns)} FROM schedules WHERE id = ${key}`.pipe(
      Effect.flatMap(decodeRows),
      Effect.map(([row]) => row === undefined ? undefined : toMark(row)),
      unavailable("read schedule")
    ),

  list: (app) =>
    sql`SELECT ${sql.literal(columns)} FROM schedules WHERE app = ${app}`.pipe(
      Effect.flatMap(decodeRows),
      Effect.map((rows) => rows.map(toMark).sort(byKey)),
      unavailable("read schedules")
    ),

  set: ({ app, definition, fired = null, key, paused, runId = null, upto, version, waiting }, after, facts) => {
    const values = {
      app,
      version,
      upto,
      fired,
      run_id: runId,
      waiting: JSON.stringify(waiting),
      paused: paused ? 1 : 0,
      definition: definition === undefined ? null : JSON.stringify(definition)
    }
    const written = after === 0
      ? sql`INSERT INTO schedules ${sql.insert({ id: key, ...values })} ON CONFLICT (id) DO NOTHING RETURNING id`
      : sql`UPDATE schedules SET ${sql.update(values)} WHERE id = ${key} AND version = ${after} RETURNING id`
    return withFacts(sql, facts, written).pipe(unavailable("write schedule"))
  },

  remove: (key, version, facts) =>
    withFacts(sql, facts, sql`DELETE FROM schedules WHERE id = ${key} AND version = ${version} RETURNING id`).pipe(
      unavailable("remove schedule")
    ),

  outbox: identityOf(sql).pipe(unavailable("identity of the store"))
})

const columns = "id, app, version, upto, fired, run_id, waiting, paused, definition"
const Int = Schema.Union([Schema.Int, Schema.BigInt])
const Row = Schema.Struct({
  id: Schema.String,
  app: Schema.NullOr(Schema.String),
  version: Int,
  upto: Int,
  fired: Schema.NullOr(Int),
  run_id: Schema.NullOr(Schema.String),
  waiting: Schema.fromJsonString(Mark.fields.waiting),
  paused: Int,
  definition: Schema.NullOr(Schema.fromJsonString(Mark.fields.definition.schema))
})
const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))

const toMark = ({ app, definition, fired, id, paused, run_id, upto, version, waiting }: typeof Row.Type): Mark => ({
  app: app ?? "",
  key: id,
  version: Number(version),
  upto: Number(upto),
  waiting,
  paused: Number(paused) === 1,
  ...(fired === null ? {} : { fired: Number(fired) }),
  ...(run_id === null ? {} : { runId: run_id }),
  ...(definition === null ? {} : { definition })
})
