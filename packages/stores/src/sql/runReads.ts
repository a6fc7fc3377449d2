import { StoreUnavailable } from "@fastagentic/core/RunError"
import type { RunRecord } from "@fastagentic/core/RunRecord"
import type { RunStore, Written } from "@fastagentic/core/RunStore"
import { Effect, Predicate } from "effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type { Row } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import * as Rows from "./runRows.ts"

/** Every reading of a run store that one process has, in SQL that all databases of ours understand. */
export const makeReads = (sql: SqlClient.SqlClient): Omit<RunStore["Service"], "write"> => {
  const records = recordsOf(sql)

  return {
    get: (runId) =>
      sql`${records} WHERE run_id = ${runId}`.pipe(
        rows(`get run ${runId}`),
        Effect.flatMap(([row]) => row === undefined ? Effect.undefined : record(row))
      ),

    list: (query) => {
      const filters: Array<Fragment> = [sql`tenant = ${query.tenant}`]
      if (query.owner !== undefined) filters.push(sql`owner = ${query.owner}`)
      if (query.agent !== undefined) filters.push(sql`agent = ${query.agent}`)
      if (query.kind !== undefined) filters.push(sql`kind = ${query.kind}`)
      if (query.state !== undefined) filters.push(sql`state = ${query.state}`)
      if (query.threadId !== undefined) filters.push(sql`thread_id = ${query.threadId}`)
      if (query.before !== undefined) filters.push(sql`run_id < ${query.before}`)
      return sql`${records} WHERE ${sql.and(filters)} ORDER BY run_id DESC LIMIT ${query.limit}`.pipe(
        rows("list runs"),
        Effect.flatMap(Effect.forEach(record))
      )
    },

    // Whole rows, up to the one that reaches the limit: the rest of a row would be read again for the next page.
    events: (runId, after, limit) =>
      sql`
        SELECT ${sql.literal(Rows.eventColumns)} FROM run_events
        WHERE run_id = ${runId} AND last_seq > ${after} AND last_seq <= COALESCE(
          (SELECT MIN(last_seq) FROM run_events WHERE run_id = ${runId} AND last_seq >= ${after + Math.max(limit, 1)}),
          ${Number.MAX_SAFE_INTEGER}
        )
        ORDER BY last_seq`.pipe(
        rows(`events of run ${runId}`),
        Effect.flatMap((rows) => decoded(`events of run ${runId}`, () => Rows.toEvents(runId, rows, after)))
      ),

    steps: (runId) =>
      sql`SELECT name, value FROM run_steps WHERE run_id = ${runId} ORDER BY name`.pipe(
        rows(`steps of run ${runId}`),
        Effect.flatMap((rows) => decoded(`steps of run ${runId}`, () => rows.map(Rows.toStep)))
      ),

    interrupts: (runId) =>
      sql`
        SELECT ${sql.literal(Rows.interruptColumns)} FROM interrupts
        WHERE run_id = ${runId} ORDER BY created_at, id`.pipe(
        rows(`interrupts of run ${runId}`),
        Effect.flatMap((rows) =>
          decoded(`interrupts of run ${runId}`, () => rows.map((row) => Rows.toInterrupt(runId, row)))
        )
      ),

    unfinished: unfinishedWhere(sql, sql`TRUE`),
    abandoned: Effect.succeed([])
  }
}

/** Unfinished runs under a further condition on `runs`. */
export const unfinishedWhere = (sql: SqlClient.SqlClient, condition: Fragment): RunStore["Service"]["unfinished"] =>
  sql`${recordsOf(sql)} WHERE state IN ('queued', 'running') AND ${condition} ORDER BY run_id`.pipe(
    rows("unfinished runs"),
    Effect.flatMap(Effect.forEach(record))
  )

const recordsOf = (sql: SqlClient.SqlClient) =>
  sql`SELECT ${sql.literal(Rows.recordColumns)} FROM runs LEFT JOIN run_values USING (run_id)`

export const unavailable =
  (operation: string) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, StoreUnavailable, R> =>
    Effect.mapError(effect, (cause) => new StoreUnavailable({ operation, cause }))

/** The five characters by which SQL names a condition. */
export const sqlState = ({ reason: { cause } }: SqlError): string =>
  Predicate.hasProperty(cause, "code") ? String(cause.code) : ""

/** No row has a text that the database cannot write down. */
const rows = (operation: string) => <A>(effect: Effect.Effect<ReadonlyArray<A>, SqlError>) =>
  effect.pipe(
    Effect.catchIf((error) => sqlState(error) === "22021", () => Effect.succeed([])),
    unavailable(operation)
  )

/** Whatever is wrong with a row, also what makes a decoder give up, is a failure of the store. */
const decoded = <A>(operation: string, decode: () => A): Effect.Effect<A, StoreUnavailable> =>
  Effect.try({ try: decode, catch: (cause) => new StoreUnavailable({ operation, cause }) })

const record = (row: Row): Effect.Effect<RunRecord, StoreUnavailable> =>
  decoded(`record of run ${String(row["runId"])}`, () => Rows.toRecord(row))

// answers

export const refused: Written = { _tag: "Refused" }

/** A run that cannot be read must not take the other writes of the batch with it. */
export const attached = (row: Row): Effect.Effect<Written> =>
  Effect.map(record(row), (run): Written => ({ _tag: "Attached", run })).pipe(
    Effect.catchTag(
      "StoreUnavailable",
      (error) => Effect.as(Effect.logError("The run that holds an idempotency key cannot be read", error), refused)
    )
  )

/** A write that no store could keep is the fault of its run alone. */
export const notKept = (runId: string, cause: unknown): Effect.Effect<Written> =>
  Effect.logError("A write is refused because it cannot be stored", cause).pipe(
    Effect.annotateLogs({ runId }),
    Effect.as(refused)
  )
