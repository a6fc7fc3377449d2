/**
 * Runs in a SQLite database: one transaction for each batch of writes.
 *
 * @since 0.1.0
 */
import { type Event, stamp } from "@fastagentic/core/Event"
import type { Interrupt } from "@fastagentic/core/Interrupt"
import { StoreUnavailable } from "@fastagentic/core/RunError"
import type { RunRecord } from "@fastagentic/core/RunRecord"
import { type Admit, type Changes, type Commit, RunStore, type Write, type Written } from "@fastagentic/core/RunStore"
import { Context, Effect, Layer, Result } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection, Row } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import * as Rows from "./internal/runRows.ts"
import * as migrations from "./migrations.ts"
import * as SqliteClient from "./SqliteClient.ts"

/**
 * A run store on whatever `SqlClient` is there; the tables have to exist.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<RunStore["Service"], never, SqlClient.SqlClient> = Effect.map(
  SqlClient.SqlClient,
  (sql) => {
    const records = sql`SELECT ${sql.literal(Rows.recordColumns)} FROM runs LEFT JOIN run_values USING (run_id)`

    const write = (writes: ReadonlyArray<Write>) =>
      writes.length === 0 ? Effect.succeed([]) : Effect.withFiber((fiber) => {
        // Statements go to the connection itself: a span and a text put together for each would double their cost.
        const [connection] = Context.getUnsafe(fiber.context, sql.transactionService)
        return Effect.forEach(
          writes,
          (write) => write._tag === "Admit" ? admit(connection, write) : commit(connection, write)
        )
      }).pipe(sql.withTransaction, unavailable("write"))

    const get = (runId: string) =>
      sql`${records} WHERE run_id = ${runId}`.pipe(
        unavailable(`get run ${runId}`),
        Effect.flatMap(([row]) => row === undefined ? Effect.undefined : record(row))
      )

    const list: RunStore["Service"]["list"] = (query) => {
      const filters: Array<Fragment> = [sql`tenant = ${query.tenant}`]
      if (query.owner !== undefined) filters.push(sql`owner = ${query.owner}`)
      if (query.agent !== undefined) filters.push(sql`agent = ${query.agent}`)
      if (query.kind !== undefined) filters.push(sql`kind = ${query.kind}`)
      if (query.state !== undefined) filters.push(sql`state = ${query.state}`)
      if (query.threadId !== undefined) filters.push(sql`thread_id = ${query.threadId}`)
      if (query.before !== undefined) filters.push(sql`run_id < ${query.before}`)
      return sql`${records} WHERE ${sql.and(filters)} ORDER BY run_id DESC LIMIT ${query.limit}`.pipe(
        unavailable("list runs"),
        Effect.flatMap(Effect.forEach(record))
      )
    }

    /** Whole rows, up to the one that reaches the limit: the rest of a row would be read again for the next page. */
    const events = (runId: string, after: number, limit: number) =>
      sql`
        SELECT ${sql.literal(Rows.eventColumns)} FROM run_events
        WHERE run_id = ${runId} AND last_seq > ${after} AND last_seq <= COALESCE(
          (SELECT MIN(last_seq) FROM run_events WHERE run_id = ${runId} AND last_seq >= ${after + Math.max(limit, 1)}),
          ${Number.MAX_SAFE_INTEGER}
        )
        ORDER BY last_seq`.pipe(
        unavailable(`events of run ${runId}`),
        Effect.flatMap((rows) => decoded(`events of run ${runId}`, () => Rows.toEvents(runId, rows, after)))
      )

    const steps = (runId: string) =>
      sql`SELECT name, value FROM run_steps WHERE run_id = ${runId} ORDER BY name`.pipe(
        unavailable(`steps of run ${runId}`),
        Effect.flatMap((rows) => decoded(`steps of run ${runId}`, () => rows.map(Rows.toStep)))
      )

    const interrupts = (runId: string) =>
      sql`
        SELECT ${sql.literal(Rows.interruptColumns)} FROM interrupts
        WHERE run_id = ${runId} ORDER BY created_at, id`.pipe(
        unavailable(`interrupts of run ${runId}`),
        Effect.flatMap((rows) =>
          decoded(`interrupts of run ${runId}`, () => rows.map((row) => Rows.toInterrupt(runId, row)))
        )
      )

    const unfinished = sql`${records} WHERE state IN ('queued', 'running') ORDER BY run_id`.pipe(
      unavailable("unfinished runs"),
      Effect.flatMap(Effect.forEach(record))
    )

    return RunStore.of({ write, get, list, events, steps, interrupts, unfinished })
  }
)

/**
 * Creates the tables when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<RunStore, MigrationError | SqlError, SqlClient.SqlClient> = Layer.effect(
  RunStore,
  make
).pipe(Layer.provide(migrations.layer))

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: SqliteClient.Options
): Layer.Layer<RunStore, MigrationError | SqlError | SqliteClient.SqliteLocked> =>
  Layer.provide(layerNoClient, SqliteClient.layer(options))

// writing: nothing is written before it is certain that nothing will be refused

const refused: Written = { _tag: "Refused" }

const admit = Effect.fnUntraced(function*(connection: Connection, write: Admit) {
  const { run } = write
  const encoded = Result.try(() => ({
    record: recordParams(run),
    values: valueParams(run),
    body: bodyOf(write.events)
  }))
  if (Result.isFailure(encoded)) return yield* notJson(run.runId, encoded.failure)
  const { body, record, values } = encoded.success
  if (run.idempotencyKey !== undefined) {
    const [row] = yield* connection.execute(selectHolder, keyParams(run), undefined)
    if (row !== undefined) return yield* attach(row)
  }
  const [inserted] = yield* connection.executeValues(insertRun, [...record, write.events.length])
  if (inserted === undefined) return refused
  yield* connection.executeValues(insertValues, values)
  if (run.idempotencyKey !== undefined) yield* connection.executeValues(insertKey, [...keyParams(run), run.runId])
  const { attempt, createdAt: ts, runId } = run
  const events = stamp(write.events, { runId, attempt, ts, lastSeq: 0 })
  if (body !== undefined) yield* connection.executeValues(insertEvents, [runId, events.length, 1, attempt, ts, body])
  const admitted: Written = { _tag: "Admitted", run: { ...run, seq: events.length }, events }
  return admitted
})

/** A run that cannot be read must not take the other writes of the batch with it. */
const attach = (row: Row) =>
  Effect.map(record(row), (run): Written => ({ _tag: "Attached", run })).pipe(
    Effect.catchTag("StoreUnavailable", (error) =>
      Effect.as(Effect.logError("The run that holds an idempotency key cannot be read", error), refused))
  )

const commit = Effect.fnUntraced(function*(connection: Connection, write: Commit) {
  const { from, resolve, runId, set, ts } = write
  if (from.length === 0) return refused
  const encoded = Result.try(() => ({ change: changeOf(write), body: bodyOf(write.events), others: othersOf(write) }))
  if (Result.isFailure(encoded)) return yield* notJson(runId, encoded.failure)
  const { body, change, others } = encoded.success
  if (resolve !== undefined) {
    const [open] = yield* connection.executeValues(selectOpen, [runId, resolve.id])
    if (open === undefined) return refused
  }
  const [updated] = yield* connection.executeValues(change.text, change.params)
  if (updated === undefined) return refused
  const seq = Number(updated[0])
  const attempt = set?.attempt ?? write.attempt
  const events = stamp(write.events, { runId, attempt, ts, lastSeq: seq - write.events.length })
  if (body !== undefined) {
    yield* connection.executeValues(insertEvents, [runId, seq, seq - events.length + 1, attempt, ts, body])
  }
  for (const { params, text } of others) yield* connection.executeValues(text, params)
  const committed: Written = { _tag: "Committed", events }
  return committed
})

/** A write that no store could keep is the fault of its run alone. */
const notJson = (runId: string, cause: unknown) =>
  Effect.logError("A write is refused because it is not JSON", cause).pipe(
    Effect.annotateLogs({ runId }),
    Effect.as(refused)
  )

interface Prepared {
  readonly text: string
  readonly params: ReadonlyArray<unknown>
}

/** The compare-and-set. Without a change of state no index is touched. */
const changeOf = ({ attempt, events, from, runId, set = {}, ts }: Commit): Prepared => {
  const where = [ts, runId, attempt, ...from]
  const emitted = set.emitted ?? null
  if (!changesRun(set)) return { text: update(append, from.length), params: [events.length, emitted, ...where] }
  const { finishedAt = null, state = null } = set
  const usage = set.usage === undefined ? null : json(set.usage)
  const error = set.error === undefined ? null : json(set.error)
  const changed = [state, set.attempt ?? null, usage, error, finishedAt]
  return { text: update(change, from.length), params: [...changed, events.length, emitted, ...where] }
}

const changesRun = ({ attempt, error, finishedAt, state, usage }: Changes) =>
  [attempt, error, finishedAt, state, usage].some((value) => value !== undefined)

/** What a commit writes beside the record and its events, resolution first. */
const othersOf = ({ open = [], resolve, runId, set, steps = [] }: Commit): ReadonlyArray<Prepared> => [
  ...(resolve === undefined
    ? []
    : [{ text: resolveInterrupt, params: [json(resolve.resolution), runId, resolve.id] }]),
  ...open.map((interrupt) => ({ text: upsertInterrupt, params: interruptParams(runId, interrupt) })),
  ...steps.map(({ name, value }) => ({ text: upsertStep, params: [runId, name, json(value)] })),
  ...(set?.output === undefined ? [] : [{ text: updateOutput, params: [json(set.output), runId] }])
]

const json = (value: unknown): string => {
  const text: string | undefined = JSON.stringify(value)
  if (text === undefined) throw new TypeError(`${typeof value} is not JSON`)
  return text
}

const bodyOf = (events: ReadonlyArray<Event>) => events.length === 0 ? undefined : json(events)

const recordParams = (run: RunRecord) => [
  run.runId,
  run.tenant,
  run.owner,
  run.kind,
  run.agent,
  run.state,
  run.attempt,
  run.emitted,
  run.durable ? 1 : 0,
  run.threadId ?? null,
  run.parentRunId ?? null,
  run.idempotencyKey ?? null,
  run.traceId,
  run.fingerprint,
  run.createdAt,
  run.updatedAt,
  run.finishedAt ?? null,
  run.usage === undefined ? null : json(run.usage),
  run.error === undefined ? null : json(run.error)
]

const valueParams = (run: RunRecord) => [
  run.runId,
  json(run.payload),
  run.output === undefined ? null : json(run.output)
]

const keyParams = (run: RunRecord) => [run.tenant, run.owner, run.kind, run.agent, run.idempotencyKey]

const interruptParams = (runId: string, interrupt: Interrupt) => {
  const { createdAt, expiresAt = null, id, resolution, runId: _, state, ...request } = interrupt
  return [runId, id, state, createdAt, expiresAt, json(request), resolution === undefined ? null : json(resolution)]
}

// texts

const selectHolder = `
  SELECT ${Rows.recordColumns} FROM runs LEFT JOIN run_values USING (run_id) WHERE run_id = (
    SELECT run_id FROM idempotency_keys WHERE tenant = ? AND owner = ? AND kind = ? AND agent = ? AND key = ?
  )`

const insertRun = `
  INSERT INTO runs (
    run_id, tenant, owner, kind, agent, state, attempt, emitted, durable, thread_id, parent_run_id, idempotency_key,
    trace_id, fingerprint, created_at, updated_at, finished_at, usage, error, seq
  ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (run_id) DO NOTHING RETURNING seq`

const insertValues = "INSERT INTO run_values (run_id, payload, output) VALUES (?, ?, ?)"

/** A key whose run is gone has no holder: it is taken over. */
const insertKey = `
  INSERT INTO idempotency_keys (tenant, owner, kind, agent, key, run_id) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (tenant, owner, kind, agent, key) DO UPDATE SET run_id = excluded.run_id`

const insertEvents = "INSERT INTO run_events (run_id, last_seq, first_seq, attempt, ts, body) VALUES (?, ?, ?, ?, ?, ?)"

const append = "seq = seq + ?, emitted = COALESCE(?, emitted), updated_at = ?"

const change = `
  state = COALESCE(?, state), attempt = COALESCE(?, attempt), usage = COALESCE(?, usage), error = COALESCE(?, error),
  finished_at = COALESCE(?, finished_at), ${append}`

const update = (set: string, states: number) =>
  `UPDATE runs SET ${set} WHERE run_id = ? AND attempt = ? AND state IN (?${", ?".repeat(states - 1)}) RETURNING seq`

const updateOutput = "UPDATE run_values SET output = ? WHERE run_id = ?"

const upsertStep = `
  INSERT INTO run_steps (run_id, name, value) VALUES (?, ?, ?)
  ON CONFLICT (run_id, name) DO UPDATE SET value = excluded.value`

const selectOpen = "SELECT 1 FROM interrupts WHERE run_id = ? AND id = ? AND state = 'open'"

const resolveInterrupt = "UPDATE interrupts SET state = 'resolved', resolution = ? WHERE run_id = ? AND id = ?"

const upsertInterrupt = `
  INSERT INTO interrupts (run_id, id, state, created_at, expires_at, request, resolution) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (run_id, id) DO UPDATE SET state = excluded.state, created_at = excluded.created_at,
    expires_at = excluded.expires_at, request = excluded.request, resolution = excluded.resolution`

// reading

const unavailable =
  (operation: string) => <A, R>(effect: Effect.Effect<A, SqlError, R>): Effect.Effect<A, StoreUnavailable, R> =>
    Effect.mapError(effect, (cause) => new StoreUnavailable({ operation, cause }))

/** Whatever is wrong with a row, also what makes a decoder give up, is a failure of the store. */
const decoded = <A>(operation: string, decode: () => A): Effect.Effect<A, StoreUnavailable> =>
  Effect.try({ try: decode, catch: (cause) => new StoreUnavailable({ operation, cause }) })

const record = (row: Row): Effect.Effect<RunRecord, StoreUnavailable> =>
  decoded(`record of run ${String(row["runId"])}`, () => Rows.toRecord(row))
