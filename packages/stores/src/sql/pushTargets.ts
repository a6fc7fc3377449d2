// Push targets in SQL that all our databases understand; the push stores of SQLite and PostgreSQL are made of it.
import { byId, type PushStore, PushTarget } from "@fastagentic/core/store/PushStore"
import { Effect, Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Unavailable } from "./unavailable.ts"

export const makePushTargets = (sql: SqlClient, unavailable: Unavailable): PushStore["Service"] => ({
  list: (runId) =>
    sql`SELECT target FROM push_targets WHERE run_id = ${runId}`.pipe(
      Effect.flatMap(decodeRows),
      Effect.map((rows) => rows.map(({ target }) => target).sort(byId)),
      unavailable("read push targets")
    ),

  set: (target, after) => {
    const { dueAt, id, runId, version } = target
    const values = { version, due_at: dueAt, target: JSON.stringify(target) }
    const written = after === 0
      ? sql`INSERT INTO push_targets ${sql.insert({ run_id: runId, id, ...values })}
          ON CONFLICT (run_id, id) DO NOTHING RETURNING id`
      : sql`UPDATE push_targets SET ${sql.update(values)}
          WHERE run_id = ${runId} AND id = ${id} AND version = ${after} RETURNING id`
    return written.pipe(Effect.map((rows) => rows.length > 0), unavailable("write push target"))
  },

  remove: (runId, id, version) => {
    const isMeant = version === undefined ? sql.literal("1 = 1") : sql`version = ${version}`
    return sql`DELETE FROM push_targets WHERE run_id = ${runId} AND id = ${id} AND ${isMeant}`.pipe(
      Effect.asVoid,
      unavailable("remove push target")
    )
  },

  due: ({ limit, now }) =>
    sql`SELECT target FROM push_targets WHERE due_at <= ${now} ORDER BY due_at LIMIT ${limit}`.pipe(
      Effect.flatMap(decodeRows),
      Effect.map((rows) => rows.map(({ target }) => target)),
      unavailable("due push targets")
    )
})

const decodeRows = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ target: Schema.fromJsonString(PushTarget) }))
)
