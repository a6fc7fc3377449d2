/**
 * Runs in a SQLite database: one transaction for each batch of writes.
 *
 * @since 0.1.0
 */
import { stamp } from "@fastagentic/core/Event"
import { type Admit, type Changes, type Commit, RunStore, type Write, type Written } from "@fastagentic/core/RunStore"
import { Context, Effect, Layer, Result } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import { attached, makeReads, notKept, refused, unavailable } from "../sql/runReads.ts"
import * as Rows from "../sql/runRows.ts"
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
    const write = (writes: ReadonlyArray<Write>) =>
      writes.length === 0 ? Effect.succeed([]) : Effect.withFiber((fiber) => {
        // Statements go to the connection itself: a span and a text put together for each would double their cost.
        const [connection] = Context.getUnsafe(fiber.context, sql.transactionService)
        return Effect.forEach(
          writes,
          (write) => write._tag === "Admit" ? admit(connection, write) : commit(connection, write)
        )
      }).pipe(sql.withTransaction, unavailable("write"))

    return RunStore.of({ write, ...makeReads(sql) })
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

const admit = Effect.fnUntraced(function*(connection: Connection, write: Admit) {
  const { run } = write
  const encoded = Result.try(() => ({
    record: Rows.recordParams(run, write.events.length),
    values: Rows.valueParams(run),
    body: Rows.bodyOf(write.events)
  }))
  if (Result.isFailure(encoded)) return yield* notKept(run.runId, encoded.failure)
  const { body, record, values } = encoded.success
  if (run.idempotencyKey !== undefined) {
    const [row] = yield* connection.execute(selectHolder, Rows.keyParams(run), undefined)
    if (row !== undefined) return yield* attached(row)
  }
  const [inserted] = yield* connection.executeValues(insertRun, record)
  if (inserted === undefined) return refused
  yield* connection.executeValues(insertValues, values)
  if (run.idempotencyKey !== undefined) yield* connection.executeValues(insertKey, [...Rows.keyParams(run), run.runId])
  const { attempt, createdAt: ts, runId } = run
  const events = stamp(write.events, { runId, attempt, ts, lastSeq: 0 })
  if (body !== null) yield* connection.executeValues(insertEvents, [runId, events.length, 1, attempt, ts, body])
  const admitted: Written = { _tag: "Admitted", run: { ...run, seq: events.length }, events }
  return admitted
})

const commit = Effect.fnUntraced(function*(connection: Connection, write: Commit) {
  const { from, resolve, runId, set, ts } = write
  if (from.length === 0) return refused
  const encoded = Result.try(() => ({
    change: changeOf(write),
    body: Rows.bodyOf(write.events),
    others: othersOf(write)
  }))
  if (Result.isFailure(encoded)) return yield* notKept(runId, encoded.failure)
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
  if (body !== null) {
    yield* connection.executeValues(insertEvents, [runId, seq, seq - events.length + 1, attempt, ts, body])
  }
  for (const { params, text } of others) yield* connection.executeValues(text, params)
  const committed: Written = { _tag: "Committed", events }
  return committed
})

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
  const usage = set.usage === undefined ? null : Rows.json(set.usage)
  const error = set.error === undefined ? null : Rows.json(set.error)
  const changed = [state, set.attempt ?? null, usage, error, finishedAt]
  return { text: update(change, from.length), params: [...changed, events.length, emitted, ...where] }
}

const changesRun = ({ attempt, error, finishedAt, state, usage }: Changes) =>
  [attempt, error, finishedAt, state, usage].some((value) => value !== undefined)

/** What a commit writes beside the record and its events, resolution first. */
const othersOf = ({ open = [], resolve, runId, set, steps = [] }: Commit): ReadonlyArray<Prepared> => [
  ...(resolve === undefined
    ? []
    : [{ text: resolveInterrupt, params: [Rows.json(resolve.resolution), runId, resolve.id] }]),
  ...open.map((interrupt) => ({ text: upsertInterrupt, params: Rows.interruptParams(runId, interrupt) })),
  ...steps.map(({ name, value }) => ({ text: upsertStep, params: [runId, name, Rows.json(value)] })),
  ...(set?.output === undefined ? [] : [{ text: updateOutput, params: [Rows.json(set.output), runId] }])
]

// texts

const selectHolder = `
  SELECT ${Rows.recordColumns} FROM runs LEFT JOIN run_values USING (run_id) WHERE run_id = (
    SELECT run_id FROM idempotency_keys WHERE tenant = ? AND owner = ? AND kind = ? AND agent = ? AND key = ?
  )`

const insertRun = `
  INSERT INTO runs (${Rows.runColumns.join(", ")}) VALUES (?${", ?".repeat(Rows.runColumns.length - 1)})
  ON CONFLICT (run_id) DO NOTHING RETURNING seq`

const insertValues = "INSERT INTO run_values (run_id, grants, payload, output) VALUES (?, ?, ?, ?)"

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
