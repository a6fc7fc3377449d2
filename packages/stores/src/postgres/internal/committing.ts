// Commits of a batch as one SQL statement; `batch.ts` groups them so that no two share a run.
import { stamp } from "@fastagentic/core/run/Event"
import { finalStates, isFinal } from "@fastagentic/core/run/RunRecord"
import type { Commit, Written } from "@fastagentic/core/store/RunStore"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Row } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import * as Fields from "../../sql/recordColumns.ts"
import { refused } from "../../sql/runReads.ts"
import * as Rows from "../../sql/runRows.ts"
import { type Columns, Params, typesOf } from "./params.ts"
import {
  factRows,
  insertFacts,
  interruptRows,
  stepRows,
  upsertInterrupts,
  upsertSteps
} from "./stepAndInterruptRows.ts"
import { appendTurns, saidRows } from "./turnRows.ts"

/** A commit with its rows. */
export interface Commitment {
  readonly _tag: "Commitment"
  readonly index: number
  readonly runId: string
  readonly write: Commit
  readonly row: Readonly<Record<string, unknown>>
  readonly steps: ReadonlyArray<ReadonlyArray<unknown>>
  readonly open: ReadonlyArray<ReadonlyArray<unknown>>
  readonly facts: ReadonlyArray<ReadonlyArray<unknown>>
  /** The thread of its turn. */
  readonly thread: string | undefined
  readonly said: ReadonlyArray<ReadonlyArray<unknown>>
}

/** Throws when a value is not JSON. */
export const commitmentOf = (write: Commit, index: number): Commitment => {
  const { attempt, events, from, resolve, runId, set = {}, ts, turn } = write
  const steps = stepRows(runId, write.steps)
  const open = interruptRows(runId, write.open)
  return {
    _tag: "Commitment",
    index,
    runId,
    write,
    row: {
      run_id: runId,
      if_attempt: attempt,
      if_seq: write.ifSeq,
      if_states: from.join(),
      ts,
      events: events.length,
      body: Rows.bodyOf(events),
      ...Object.fromEntries(
        changeable.map((column) => [`new_${column.column}`, Fields.parameterOf(column, set)])
      ),
      resolve_id: resolve?.id,
      resolution: resolve === undefined || open.has(resolve.id) ? null : Fields.json(resolve.resolution)
    },
    steps: [...steps.values()],
    open: [...open.values()],
    facts: factRows(runId, write.facts),
    thread: turn === undefined ? undefined : JSON.stringify([turn.tenant, turn.owner, turn.threadId]),
    said: saidRows(runId, turn)
  }
}

/** Makes commits to different runs. */
export const commit = (
  sql: SqlClient,
  node: string,
  channel: string,
  commitments: ReadonlyArray<Commitment>
): Effect.Effect<ReadonlyMap<Commitment, Written>, SqlError> =>
  Effect.map(update(sql, node, channel, commitments), (rows) => {
    const seqs = new Map(rows.map((row) => [row["run_id"], Number(row["seq"])]))
    return new Map(commitments.map((one) => [one, committedOf(one, seqs.get(one.runId))]))
  })

const committedOf = ({ write }: Commitment, seq: number | undefined): Written => {
  if (seq === undefined) return refused
  const { events, runId, set, ts } = write
  const attempt = set?.attempt ?? write.attempt
  return { _tag: "Committed", events: stamp(events, { runId, attempt, ts, lastSeq: seq - events.length }) }
}

/**
 * The compare-and-set of many runs and all rows that depend on it, as one statement. Rows are locked in the order of
 * their ids, so that two batches cannot wait for each other, and compared once they are locked. Followers are notified
 * when the statement commits.
 */
const update = (sql: SqlClient, node: string, channel: string, commitments: ReadonlyArray<Commitment>) => {
  const params = new Params()
  const compares = commitments.some(({ write }) => write.ifSeq !== undefined)
  const resolves = commitments.some(({ write }) => write.resolve !== undefined)
  const changes = commitments.some(({ row }) => isGiven(row, changeColumns))
  const values = commitments.some(({ row }) => isGiven(row, valueColumns))
  const columns = {
    ...appendColumns,
    ...(changes ? changeColumns : {}),
    ...(values ? valueColumns : {}),
    ...(resolves ? resolveColumns : {}),
    ...(compares ? seqColumns : {})
  }
  const steps = commitments.flatMap(({ steps }) => steps)
  const open = commitments.flatMap(({ open }) => open)
  const closes = [
    ...(resolves ? ["(pending.id = resolve_id AND changed.resolution IS NOT NULL)"] : []),
    ...(commitments.some(({ write }) => write.set?.state !== undefined && isFinal(write.set.state))
      ? [`new_state IN (${finalList})`]
      : []),
    ...(open.some(([, , state]) => state !== "open") ? [closedInterrupt] : [])
  ]
  const rows = commitments.map(({ row }) => Object.keys(columns).map((name) => row[name]))
  return sql.unsafe<Row>(
    `WITH ${params.table("change", columns, rows)},
    held AS (
      SELECT * FROM (SELECT * FROM change ORDER BY run_id) AS change, LATERAL (
        SELECT attempt, state, seq AS last_seq FROM runs WHERE runs.run_id = change.run_id FOR UPDATE
      ) AS run
    ),
    ${resolves ? resolvable : ""}
    changed AS (
      UPDATE runs SET
        seq = seq + events,
        ${Fields.appendColumns.map(keepUnlessGiven).join(", ")},
        updated_at = ts${changes ? changed(params.add(node)) : ""}
      FROM held
      WHERE runs.run_id = held.run_id AND held.attempt = if_attempt
        AND held.state = ANY (string_to_array(if_states, ','))
        ${compares ? "AND (if_seq IS NULL OR held.last_seq = if_seq)" : ""}
        ${resolves ? "AND (resolve_id IS NULL OR held.run_id IN (SELECT run_id FROM resolvable))" : ""}
      RETURNING seq, runs.attempt AS new, runs.tenant, runs.owner, held.*
    ),
    ${resolves ? resolved : ""}
    ${values ? stored : ""}
    ${upsertSteps(params, steps, "changed")}
    ${
      upsertInterrupts(
        params,
        open,
        "changed",
        `${changes ? "COALESCE(new_state, changed.state)" : "changed.state"} NOT IN (${finalList})`
      )
    }
    ${closes.length === 0 ? "" : closed(closes)}
    ${insertFacts(params, commitments.flatMap(({ facts }) => facts), "changed")}
    ${appendTurns(params, commitments.flatMap(({ said }) => said))}
    journal AS (
      INSERT INTO run_events (run_id, last_seq, first_seq, attempt, ts, body)
      SELECT run_id, seq, seq - events + 1, new, ts, body FROM changed WHERE body IS NOT NULL
    )
    SELECT run_id, seq, pg_notify(${params.add(channel)}, run_id || ' ' || seq) FROM changed`,
    params.values
  )
}

const resolvable = `
    resolvable AS (
      SELECT held.run_id FROM held, LATERAL (
        SELECT FROM interrupts WHERE run_id = held.run_id AND id = resolve_id AND interrupts.state = 'open' FOR UPDATE
      ) AS interrupt
    ),`

const resolved = `
    resolved AS (
      UPDATE interrupts SET state = 'resolved', resolution = changed.resolution FROM changed
      WHERE interrupts.run_id = changed.run_id AND interrupts.id = resolve_id AND changed.resolution IS NOT NULL
    ),`

/** The SQL that keeps the value of a column when the commit has none. */
const keepIn = (table: string) => ({ column }: Fields.RecordColumn) =>
  `${column} = COALESCE(new_${column}, ${table}.${column})`

const keepUnlessGiven = keepIn("runs")

const finalList = finalStates.map((state) => `'${state}'`).join(", ")

const closedInterrupt = `EXISTS (
        SELECT FROM opening WHERE opening.run_id = pending.run_id AND opening.id = pending.id AND opening.state <> 'open'
      )`

/** Removes the interrupts that are not open any more, or whose run ends, from the index of open ones. */
const closed = (conditions: ReadonlyArray<string>) =>
  `closed AS (
      DELETE FROM pending_interrupts AS pending USING changed
      WHERE pending.run_id = changed.run_id AND (${conditions.join(" OR ")})
    ),`

const stored = `
    stored AS (
      UPDATE run_values SET ${Fields.changeableValues.map(keepIn("run_values")).join(", ")} FROM changed
      WHERE run_values.run_id = changed.run_id
        AND (${Fields.changeableValues.map(({ column }) => `new_${column} IS NOT NULL`).join(" OR ")})
    ),`

/** A change of state clears the fields that say what the run waits for. */
const changeOf = (column: Fields.RecordColumn) =>
  column.change === "wait"
    ? `${column.column} = CASE WHEN new_state IS NULL
        THEN COALESCE(new_${column.column}, runs.${column.column}) ELSE new_${column.column} END`
    : keepUnlessGiven(column)

const changed = (node: string) =>
  `,
        ${Fields.changeColumns.map(changeOf).join(",\n        ")},
        node = CASE WHEN new_attempt IS NULL THEN node ELSE ${node} END`

const isGiven = (row: Commitment["row"], columns: Columns) =>
  Object.keys(columns).some((name) => row[name] !== undefined && row[name] !== null)

/** The columns of every commit; the further columns below are in a statement only if one of its commits uses them. */
const appendColumns: Columns = {
  run_id: "text",
  if_attempt: "float8",
  if_states: "text",
  ts: "float8",
  events: "float8",
  body: "text",
  ...typesOf(Fields.appendColumns, "new_")
}

const changeColumns = typesOf(Fields.changeColumns, "new_")

const valueColumns = typesOf(Fields.changeableValues, "new_")

const changeable = [...Fields.appendColumns, ...Fields.changeColumns, ...Fields.changeableValues]

const seqColumns: Columns = { if_seq: "float8" }
const resolveColumns: Columns = { resolve_id: "text", resolution: "text" }
