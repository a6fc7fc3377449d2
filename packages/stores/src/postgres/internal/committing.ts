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
  readonly body: string | null
  /** The values of the columns that it changes; most commits change one. */
  readonly given: Readonly<Record<string, unknown>>
  /** Whether it changes one of `changeColumns`, and one of `valueColumns`. */
  readonly changes: boolean
  readonly setsValues: boolean
  readonly resolution: string | null
  readonly steps: ReadonlyArray<ReadonlyArray<unknown>>
  readonly open: ReadonlyArray<ReadonlyArray<unknown>>
  readonly facts: ReadonlyArray<ReadonlyArray<unknown>>
  /** The thread of its turn. */
  readonly thread: string | undefined
  readonly said: ReadonlyArray<ReadonlyArray<unknown>>
}

/** Throws when a value is not JSON. */
export const commitmentOf = (write: Commit, index: number): Commitment => {
  const { events, resolve, runId, set, turn } = write
  const open = interruptRows(runId, write.open)
  const given: Record<string, unknown> = {}
  let changes = false
  let setsValues = false
  for (const name in set) {
    const column = changeable.get(name)
    if (column === undefined) continue
    const value = Fields.parameterOf(column, set)
    if (value === null) continue
    given[column.parameter] = value
    changes ||= column.group === changeColumns
    setsValues ||= column.group === valueColumns
  }
  return {
    _tag: "Commitment",
    index,
    runId,
    write,
    body: Rows.bodyOf(events),
    given,
    changes,
    setsValues,
    resolution: resolve === undefined || open.some(([, id]) => id === resolve.id)
      ? null
      : Fields.json(resolve.resolution),
    steps: stepRows(runId, write.steps),
    open,
    facts: factRows(runId, write.facts),
    thread: turn === undefined ? undefined : JSON.stringify([turn.tenant, turn.owner, turn.threadId]),
    said: saidRows(runId, turn)
  }
}

/** Makes commits to different runs, and adds their answers. */
export const commit = (
  sql: SqlClient,
  node: string,
  channel: string,
  commitments: ReadonlyArray<Commitment>,
  answers: Map<unknown, Written>
): Effect.Effect<void, SqlError> =>
  Effect.map(update(sql, node, channel, commitments), (rows) => {
    const seqs = new Map<unknown, number>()
    for (const row of rows) seqs.set(row["run_id"], Number(row["seq"]))
    for (const one of commitments) answers.set(one, committedOf(one, seqs.get(one.runId)))
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
  const changes = commitments.some((one) => one.changes)
  const values = commitments.some(({ setsValues }) => setsValues)
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
  return sql.unsafe<Row>(
    `WITH ${params.tableOf("change", columns, commitments, valueOf)},
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

/** The value of a commit in a column of the statement. */
const valueOf = (one: Commitment, column: string): unknown => {
  switch (column) {
    case "run_id":
      return one.runId
    case "if_attempt":
      return one.write.attempt
    case "if_states":
      return one.write.from.join()
    case "ts":
      return one.write.ts
    case "events":
      return one.write.events.length
    case "body":
      return one.body
    case "if_seq":
      return one.write.ifSeq
    case "resolve_id":
      return one.write.resolve?.id
    case "resolution":
      return one.resolution
    default:
      return one.given[column]
  }
}

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

const seqColumns: Columns = { if_seq: "float8" }
const resolveColumns: Columns = { resolve_id: "text", resolution: "text" }

/** The fields that a commit changes, with the parameter of each and the columns that it belongs to. */
const changeable = new Map<string, Fields.RecordColumn & { readonly parameter: string; readonly group: Columns }>(
  [
    ...Fields.appendColumns.map((field) => ({ ...field, group: appendColumns })),
    ...Fields.changeColumns.map((field) => ({ ...field, group: changeColumns })),
    ...Fields.changeableValues.map((field) => ({ ...field, group: valueColumns }))
  ].map((field) => [field.name, { ...field, parameter: `new_${field.column}` }])
)
