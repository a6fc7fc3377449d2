/**
 * Runs in a SQLite database: one transaction for each batch of writes.
 *
 * @since 0.1.0
 */
import { stamp } from "@fastagentic/core/run/Event"
import { audienceOf, type Interrupt } from "@fastagentic/core/run/Interrupt"
import { isFinal } from "@fastagentic/core/run/RunRecord"
import {
  type Admit,
  type Commit,
  RunStore,
  type Step,
  type Write,
  type Written
} from "@fastagentic/core/store/RunStore"
import { Effect, Layer, Result, type Scope } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import { freshLayer } from "../internal/freshLayer.ts"
import * as Columns from "../sql/recordColumns.ts"
import { makeCompact } from "../sql/runCompaction.ts"
import { fitsLimits, selectBusy } from "../sql/runLimits.ts"
import { another, isTaken, makeReads, notKept, refused } from "../sql/runReads.ts"
import { makeRemove } from "../sql/runRemoval.ts"
import * as Rows from "../sql/runRows.ts"
import { makeTransact } from "../sql/runTransaction.ts"
import { bodiesOf, makeThreads } from "../sql/threads.ts"
import { unavailable } from "../sql/unavailable.ts"
import { makeListing } from "./internal/listing.ts"
import * as migrations from "./migrations.ts"
import * as SqliteClient from "./SqliteClient.ts"
import * as SqliteWriter from "./SqliteWriter.ts"

/**
 * A run store on a given `SqlClient`; the tables must exist.
 *
 * **Gotchas**
 *
 * There is one connection, so all other reads and writes of the file wait while the effect of a `transact` runs.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<
  RunStore["Service"],
  never,
  SqlClient.SqlClient | SqliteWriter.SqliteWriter | Scope.Scope
> = Effect
  .gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const writer = yield* SqliteWriter.SqliteWriter
    const { admitted, ...unlisted } = yield* makeListing(sql, writer)

    const writeOne = (connection: Connection, write: Write) =>
      write._tag === "Admit" ? admit(sql, connection, write) : commit(sql, connection, write)

    /** Refuses the writes that conflict with the rows of a damaged run and commits the others. */
    const writeApart = (connection: Connection, write: Write) =>
      sql.withTransaction(writeOne(connection, write)).pipe(
        Effect.catchIf(isTaken, (error) => notKept(write._tag === "Admit" ? write.run.runId : write.runId, error))
      )

    const writeAll = (writes: ReadonlyArray<Write>, one: typeof writeOne) => {
      if (writes.some(({ _tag }) => _tag === "Admit")) admitted()
      return writer.write((connection) => Effect.forEach(writes, (write) => one(connection, write)))
    }

    // A unary plus keeps SQLite, which has no statistics, from using the index of a column.
    const reads = makeReads(sql, { unindexed: (column) => `+${column}`, unlisted })

    return RunStore.of({
      write: (writes) =>
        writes.length === 0 ? Effect.succeed([]) : writeAll(writes, writeOne).pipe(
          Effect.catchIf(isTaken, () => writeAll(writes, writeApart)),
          unavailable("write")
        ),
      ...reads,
      removeFacts: (ids) =>
        writer.write((connection) => connection.executeValues(removeFacts, [JSON.stringify(ids)])).pipe(
          unavailable("remove facts"),
          Effect.asVoid
        ),
      threads: makeThreads(sql),
      // The check is a transaction that could write: it fails when the file is another one, is gone or is read-only.
      identity: unavailable("identity of the store")(sql.withTransaction(reads.identity)),
      compact: makeCompact(sql, { unlisted }),
      remove: makeRemove(sql, { among: (ids) => sql`run_id IN (SELECT value FROM json_each(${ids}))`, unlisted }),
      transact: makeTransact(sql, (write) => writer.write((connection) => writeOne(connection, write)))
    })
  })

/**
 * Creates the tables when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<RunStore, MigrationError | SqlError, SqlClient.SqlClient> = Layer.effect(
  RunStore,
  make
).pipe(Layer.provide([migrations.layer, SqliteWriter.layer]))

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: SqliteClient.Options
): Layer.Layer<RunStore, MigrationError | SqlError | SqliteClient.SqliteLocked> =>
  freshLayer(Layer.provide(layerNoClient, SqliteClient.layer(options)))

// writing: every check is made before the first row is written

const admit = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, connection: Connection, write: Admit) {
  const { run } = write
  const { attempt, createdAt: ts, runId } = run
  const encoded = Result.try(() => ({
    record: [...Rows.recordParams(run, write.events.length), 0],
    values: [runId, ...Rows.valueParams(run)],
    body: Rows.bodyOf(write.events),
    details: none.concat(interruptsOf(runId, write.interrupts), stepsOf(runId, write.steps), factsOf(write))
  }))
  if (Result.isFailure(encoded)) return yield* notKept(runId, encoded.failure)
  const { body, details, record, values } = encoded.success
  if (run.idempotencyKey !== undefined) {
    const [row] = yield* connection.execute(selectHolder, Rows.keyParams(run), undefined)
    if (row !== undefined) return yield* another("Attached", row)
  }
  if (write.alone === true) {
    const [taken] = yield* connection.executeValues(selectRun, [runId])
    if (taken !== undefined) return refused
    const busy = yield* selectBusy(sql, run)
    if (busy !== undefined) return yield* another("Busy", busy)
  }
  const [inserted] = yield* connection.executeValues(insertRun, record)
  if (inserted === undefined) return refused
  yield* connection.executeValues(insertValues, values)
  if (run.idempotencyKey !== undefined) yield* connection.executeValues(insertKey, [...Rows.keyParams(run), runId])
  const events = stamp(write.events, { runId, attempt, ts, lastSeq: 0 })
  if (body !== null) yield* connection.executeValues(insertEvents, [runId, events.length, 1, attempt, ts, body])
  for (const detail of details) yield* connection.executeValues(detail.text, detail.params(events.length))
  const admitted: Written = { _tag: "Admitted", run: { ...run, seq: events.length }, events }
  return admitted
})

const commit = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, connection: Connection, write: Commit) {
  const { from, ifSeq, resolve, runId, set, ts, within } = write
  if (from.length === 0) return refused
  const encoded = Result.try(() => ({
    change: changeOf(write),
    body: Rows.bodyOf(write.events),
    details: none.concat(
      resolvedBy(write),
      interruptsOf(runId, write.open),
      stepsOf(runId, write.steps),
      valuesOf(write),
      endedBy(write),
      factsOf(write)
    ),
    said: write.turn === undefined ? [] : bodiesOf(write.turn.messages)
  }))
  if (Result.isFailure(encoded)) return yield* notKept(runId, encoded.failure)
  const { body, change, details, said } = encoded.success
  if (resolve !== undefined) {
    const [open] = yield* connection.executeValues(selectOpen, [runId, resolve.id])
    if (open === undefined) return refused
  }
  if (within !== undefined && !(yield* fitsLimits(sql, runId, within))) return refused
  if (ifSeq !== undefined && (yield* connection.executeValues(selectWithSeq, [runId, ifSeq])).length === 0) {
    return refused
  }
  const [updated] = yield* connection.executeValues(change.text, change.params)
  if (updated === undefined) return refused
  const seq = Number(updated[0])
  const attempt = set?.attempt ?? write.attempt
  const events = stamp(write.events, { runId, attempt, ts, lastSeq: seq - write.events.length })
  if (body !== null) {
    yield* connection.executeValues(insertEvents, [runId, seq, seq - events.length + 1, attempt, ts, body])
  }
  for (const detail of details) yield* connection.executeValues(detail.text, detail.params(seq))
  if (write.turn !== undefined) {
    const { owner, tenant, threadId } = write.turn
    const key = [tenant, owner, threadId]
    const [grown] = yield* connection.executeValues(growThread, [...key, ts, ts, said.length])
    const before = Number(grown?.[0]) - said.length
    for (const [index, [body, size]] of said.entries()) {
      yield* connection.executeValues(insertMessage, [...key, before + index + 1, runId, ts, size, body])
    }
  }
  const committed: Written = { _tag: "Committed", events }
  return committed
})

/** The compare-and-set. Without a change of state no index is touched. */
const changeOf = ({ attempt, events, from, runId, set = {}, ts }: Commit) => {
  const params: Array<unknown> = Columns.changeColumns.map((column) => Columns.parameterOf(column, set))
  if (params.every((value) => value === null)) params.length = 0
  const text = params.length === 0 ? updateAppend : set.state === undefined ? updateChange : updateState
  params.push(events.length)
  for (const column of Columns.appendColumns) params.push(Columns.parameterOf(column, set))
  params.push(ts, runId, attempt, ...from)
  return { text: text(from.length), params }
}

/** A statement whose parameters need the number of the last event. */
interface Prepared {
  readonly text: string
  readonly params: (seq: number) => ReadonlyArray<unknown>
}

const none: ReadonlyArray<Prepared> = []

const prepared = (text: string, ...params: ReadonlyArray<unknown>): Prepared => ({ text, params: () => params })

const resolvedBy = ({ resolve, runId }: Commit): ReadonlyArray<Prepared> =>
  resolve === undefined ? none : [
    prepared(resolveInterrupt, Columns.json(resolve.resolution), runId, resolve.id),
    prepared(removePending, runId, resolve.id)
  ]

/** An ended run has nothing to decide. */
const endedBy = ({ runId, set }: Commit): ReadonlyArray<Prepared> =>
  set?.state !== undefined && isFinal(set.state) ? [prepared(removeAllPending, runId)] : none

const factsOf = ({ facts }: Write): ReadonlyArray<Prepared> =>
  facts === undefined ? none : facts.map(({ at, body, id }) => prepared(insertFact, id, at, body))

const interruptsOf = (runId: string, open: ReadonlyArray<Interrupt> | undefined): ReadonlyArray<Prepared> =>
  open === undefined ? none : open.flatMap((interrupt) => [
    prepared(upsertInterrupt, ...Rows.interruptParams(runId, interrupt)),
    interrupt.state === "open"
      ? prepared(upsertPending, interrupt.id, audienceOf(interrupt), runId)
      : prepared(removePending, runId, interrupt.id)
  ])

const stepsOf = (runId: string, steps: ReadonlyArray<Step> | undefined): ReadonlyArray<Prepared> =>
  steps === undefined ? none : steps.map(({ name, value }) => {
    const text = Columns.json(value)
    return { text: upsertStep, params: (seq) => [runId, name, text, seq] }
  })

const valuesOf = ({ runId, set = {} }: Commit): ReadonlyArray<Prepared> => {
  let updates = none
  for (const { column, text } of valueUpdates) {
    const value = Columns.parameterOf(column, set)
    if (value !== null) updates = updates.concat(prepared(text, value, runId))
  }
  return updates
}

// texts

const selectHolder = `
  SELECT ${Rows.recordColumns} FROM runs LEFT JOIN run_values USING (run_id) WHERE run_id = (
    SELECT run_id FROM idempotency_keys WHERE tenant = ? AND owner = ? AND kind = ? AND agent = ? AND key = ?
  )`

const selectRun = "SELECT 1 FROM runs WHERE run_id = ?"

const insert = (table: string, columns: ReadonlyArray<string>) =>
  `INSERT INTO ${table} (${columns.join(", ")}) VALUES (?${", ?".repeat(columns.length - 1)})`

const insertRun = `
  ${
  insert("runs", [...Columns.runColumns.map(({ column }) => column), "listed"])
} ON CONFLICT (run_id) DO NOTHING RETURNING seq`

const insertValues = insert("run_values", ["run_id", ...Columns.valueColumns.map(({ column }) => column)])

/** A key whose run was removed has no holder, so the new run takes it. */
const insertKey = `
  INSERT INTO idempotency_keys (tenant, owner, kind, agent, key, run_id) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (tenant, owner, kind, agent, key) DO UPDATE SET run_id = excluded.run_id`

const insertEvents = "INSERT INTO run_events (run_id, last_seq, first_seq, attempt, ts, body) VALUES (?, ?, ?, ?, ?, ?)"

const keepUnlessGiven = ({ column }: Columns.RecordColumn) => `${column} = COALESCE(?, ${column})`

const append = ["seq = seq + ?", ...Columns.appendColumns.map(keepUnlessGiven), "updated_at = ?"].join(", ")

const change = Columns.changeColumns.map(keepUnlessGiven).join(", ")

/** A change of state clears the fields that say what the run waits for. */
const changeState = Columns.changeColumns.map((column) =>
  column.change === "wait" ? `${column.column} = ?` : keepUnlessGiven(column)
).join(", ")

/** Makes each text once: a statement is found by its text, and a new one has to be read as a whole for that. */
const update = (set: string) => {
  const texts: Array<string> = []
  return (states: number) =>
    texts[states] ??= `UPDATE runs SET ${set} WHERE run_id = ? AND attempt = ? AND state IN (?${
      ", ?".repeat(states - 1)
    }) RETURNING seq`
}

const updateAppend = update(append)

const updateChange = update(`${change}, ${append}`)

const updateState = update(`${changeState}, ${append}`)

const valueUpdates = Columns.changeableValues.map((column) => ({
  column,
  text: `UPDATE run_values SET ${column.column} = ? WHERE run_id = ?`
}))

const selectWithSeq = "SELECT 1 FROM runs WHERE run_id = ? AND seq = ?"

const upsertStep = `
  INSERT INTO run_steps (run_id, name, value, seq) VALUES (?, ?, ?, ?)
  ON CONFLICT (run_id, name) DO UPDATE SET value = excluded.value, seq = excluded.seq`

const selectOpen = "SELECT 1 FROM interrupts WHERE run_id = ? AND id = ? AND state = 'open'"

const resolveInterrupt = "UPDATE interrupts SET state = 'resolved', resolution = ? WHERE run_id = ? AND id = ?"

/** Only for a run that has not ended: a fork may bring open interrupts of its origin. */
const upsertPending = `
  INSERT INTO pending_interrupts (id, audience, run_id, tenant, owner)
  SELECT ?, ?, run_id, tenant, owner FROM runs WHERE run_id = ? AND state IN ('queued', 'running', 'suspended')
  ON CONFLICT (run_id, id) DO UPDATE SET audience = excluded.audience`

/** A write that is tried again after an unknown outcome brings the same fact. */
const insertFact = "INSERT INTO audit_outbox (id, at, body) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING"

const removeFacts = "DELETE FROM audit_outbox WHERE id IN (SELECT value FROM json_each(?))"

const removePending = "DELETE FROM pending_interrupts WHERE run_id = ? AND id = ?"

const removeAllPending = "DELETE FROM pending_interrupts WHERE run_id = ?"

/** A thread exists from its first turn. */
const growThread = `
  INSERT INTO threads (tenant, owner, thread_id, created_at, updated_at, messages) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (tenant, owner, thread_id) DO UPDATE SET messages = messages + excluded.messages,
    updated_at = MAX(updated_at, excluded.updated_at)
  RETURNING messages`

const insertMessage = insert("thread_messages", [
  "tenant",
  "owner",
  "thread_id",
  "position",
  "run_id",
  "at",
  "size",
  "body"
])

const upsertInterrupt = `
  INSERT INTO interrupts (run_id, id, state, created_at, expires_at, request, resolution) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (run_id, id) DO UPDATE SET state = excluded.state, created_at = excluded.created_at,
    expires_at = excluded.expires_at, request = excluded.request, resolution = excluded.resolution`
