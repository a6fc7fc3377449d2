import { stamp } from "@fastagentic/core/run/Event"
import type { Commit, Written } from "@fastagentic/core/store/RunStore"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Row } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import { refused } from "../../sql/runReads.ts"
import * as Rows from "../../sql/runRows.ts"
import { channel } from "../PostgresRunNotifier.ts"
import { type Columns, Params } from "./params.ts"
import { interruptRows, stepRows, upsertInterrupts, upsertSteps } from "./stepAndInterruptRows.ts"

/** A commit with its rows. */
export interface Commitment {
  readonly _tag: "Commitment"
  readonly index: number
  readonly runId: string
  readonly write: Commit
  readonly row: Readonly<Record<string, unknown>>
  readonly steps: ReadonlyArray<ReadonlyArray<unknown>>
  readonly open: ReadonlyArray<ReadonlyArray<unknown>>
}

/** Throws when it is not JSON. */
export const commitmentOf = (write: Commit, index: number): Commitment => {
  const { attempt, events, from, resolve, runId, set = {}, ts } = write
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
      if_states: from.join(),
      ts,
      events: events.length,
      body: Rows.bodyOf(events),
      new_emitted: set.emitted,
      new_state: set.state,
      new_attempt: set.attempt,
      new_wake_at: set.wakeAt,
      new_waits_for: set.waitsFor,
      new_crashes: set.crashes,
      new_fingerprint: set.fingerprint,
      new_usage: Rows.jsonOrNull(set.usage),
      new_error: Rows.jsonOrNull(set.error),
      new_finished_at: set.finishedAt,
      new_output: Rows.jsonOrNull(set.output),
      new_payload: Rows.jsonOrNull(set.payload),
      resolve_id: resolve?.id,
      resolution: resolve === undefined || open.has(resolve.id) ? null : Rows.json(resolve.resolution)
    },
    steps: [...steps.values()],
    open: [...open.values()]
  }
}

/** Commits to runs that differ. */
export const commit = (
  sql: SqlClient,
  node: string,
  commitments: ReadonlyArray<Commitment>
): Effect.Effect<ReadonlyMap<Commitment, Written>, SqlError> =>
  Effect.map(update(sql, node, commitments), (rows) => {
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
 * The compare-and-set of many runs and all that follows from it, as one statement. Rows are locked in the order of
 * their ids, so that two batches cannot wait for each other, and compared as they are once locked. Whoever follows is
 * told when this is committed.
 */
const update = (sql: SqlClient, node: string, commitments: ReadonlyArray<Commitment>) => {
  const params = new Params()
  const resolves = commitments.some(({ write }) => write.resolve !== undefined)
  const changes = commitments.some(({ row }) => isGiven(row, changeColumns))
  const values = commitments.some(({ row }) => isGiven(row, valueColumns))
  const columns = {
    ...appendColumns,
    ...(changes ? changeColumns : {}),
    ...(values ? valueColumns : {}),
    ...(resolves ? resolveColumns : {})
  }
  const rows = commitments.map(({ row }) => Object.keys(columns).map((name) => row[name]))
  const steps = commitments.flatMap(({ steps }) => steps)
  const open = commitments.flatMap(({ open }) => open)
  return sql.unsafe<Row>(
    `WITH ${params.table("change", columns, rows)},
    held AS (
      SELECT * FROM (SELECT * FROM change ORDER BY run_id) AS change, LATERAL (
        SELECT attempt, state FROM runs WHERE runs.run_id = change.run_id FOR UPDATE
      ) AS run
    ),
    ${resolves ? resolvable : ""}
    changed AS (
      UPDATE runs SET
        seq = seq + events,
        emitted = COALESCE(new_emitted, emitted),
        updated_at = ts${changes ? changed(params.add(node)) : ""}
      FROM held
      WHERE runs.run_id = held.run_id AND held.attempt = if_attempt
        AND held.state = ANY (string_to_array(if_states, ','))
        ${resolves ? "AND (resolve_id IS NULL OR held.run_id IN (SELECT run_id FROM resolvable))" : ""}
      RETURNING seq, runs.attempt AS new, held.*
    ),
    ${resolves ? resolved : ""}
    ${values ? stored : ""}
    ${upsertSteps(params, steps, "changed")}
    ${upsertInterrupts(params, open, "changed")}
    journal AS (
      INSERT INTO run_events (run_id, last_seq, first_seq, attempt, ts, body)
      SELECT run_id, seq, seq - events + 1, new, ts, body FROM changed WHERE body IS NOT NULL
    )
    SELECT run_id, seq, pg_notify('${channel}', run_id || ' ' || seq) FROM changed`,
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

const stored = `
    stored AS (
      UPDATE run_values SET output = COALESCE(new_output, output), payload = COALESCE(new_payload, payload) FROM changed
      WHERE run_values.run_id = changed.run_id AND (new_output IS NOT NULL OR new_payload IS NOT NULL)
    ),`

/** Whoever changes the state says anew what the run waits for. */
const changed = (node: string) =>
  `,
        state = COALESCE(new_state, held.state),
        wake_at = CASE WHEN new_state IS NULL THEN COALESCE(new_wake_at, wake_at) ELSE new_wake_at END,
        waits_for = CASE WHEN new_state IS NULL THEN COALESCE(new_waits_for, waits_for) ELSE new_waits_for END,
        attempt = COALESCE(new_attempt, held.attempt),
        crashes = COALESCE(new_crashes, crashes),
        fingerprint = COALESCE(new_fingerprint, fingerprint),
        usage = COALESCE(new_usage, usage),
        error = COALESCE(new_error, error),
        finished_at = COALESCE(new_finished_at, finished_at),
        node = CASE WHEN new_attempt IS NULL THEN node ELSE ${node} END`

const isGiven = (row: Commitment["row"], columns: Columns) =>
  Object.keys(columns).some((name) => row[name] !== undefined && row[name] !== null)

/** What every commit has, and what some have: a statement takes what one of its commits has. */
const appendColumns: Columns = {
  run_id: "text",
  if_attempt: "float8",
  if_states: "text",
  ts: "float8",
  events: "float8",
  body: "text",
  new_emitted: "float8"
}

const changeColumns: Columns = {
  new_state: "text",
  new_attempt: "float8",
  new_wake_at: "float8",
  new_waits_for: "text",
  new_crashes: "float8",
  new_fingerprint: "text",
  new_usage: "text",
  new_error: "text",
  new_finished_at: "float8"
}

const valueColumns: Columns = { new_output: "text", new_payload: "text" }

const resolveColumns: Columns = { resolve_id: "text", resolution: "text" }
