import { stamp } from "@fastagentic/core/Event"
import type { Commit, Written } from "@fastagentic/core/RunStore"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Row } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import { refused } from "../../sql/runReads.ts"
import * as Rows from "../../sql/runRows.ts"
import { channel } from "../PostgresRunNotifier.ts"
import { type Columns, Params } from "./params.ts"

/** A commit with its rows. */
export interface Commitment {
  readonly _tag: "Commitment"
  readonly index: number
  readonly runId: string
  readonly write: Commit
  readonly row: ReadonlyArray<unknown>
  readonly steps: ReadonlyArray<ReadonlyArray<unknown>>
  readonly open: ReadonlyArray<ReadonlyArray<unknown>>
}

/** Throws when it is not JSON. */
export const commitmentOf = (write: Commit, index: number): Commitment => {
  const { attempt, events, from, resolve, runId, set = {}, ts } = write
  // The last of a name is the one that stays, and a row can be written only once by one statement.
  const steps = new Map(write.steps?.map(({ name, value }) => [name, [runId, name, Rows.json(value)]]))
  const open = new Map(write.open?.map((interrupt) => [interrupt.id, Rows.interruptParams(runId, interrupt)]))
  const { emitted, finishedAt, state } = set
  return {
    _tag: "Commitment",
    index,
    runId,
    write,
    row: [
      runId,
      attempt,
      from.join(),
      ts,
      events.length,
      Rows.bodyOf(events),
      emitted,
      state,
      set.attempt,
      Rows.jsonOrNull(set.usage),
      Rows.jsonOrNull(set.error),
      finishedAt,
      Rows.jsonOrNull(set.output),
      resolve?.id,
      resolve === undefined || open.has(resolve.id) ? null : Rows.json(resolve.resolution)
    ],
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
  const change = params.table("change", changeColumns, commitments.map(({ row }) => row))
  const resolves = commitments.some(({ write }) => write.resolve !== undefined)
  const outputs = commitments.some(({ write }) => write.set?.output !== undefined)
  const steps = commitments.flatMap(({ steps }) => steps)
  const open = commitments.flatMap(({ open }) => open)
  return sql.unsafe<Row>(
    `WITH ${change},
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
        updated_at = ts,
        state = COALESCE(new_state, held.state),
        attempt = COALESCE(new_attempt, held.attempt),
        usage = COALESCE(new_usage, usage),
        error = COALESCE(new_error, error),
        finished_at = COALESCE(new_finished_at, finished_at),
        node = CASE WHEN new_attempt IS NULL THEN node ELSE ${params.add(node)} END
      FROM held
      WHERE runs.run_id = held.run_id AND held.attempt = if_attempt
        AND held.state = ANY (string_to_array(if_states, ','))
        ${resolves ? "AND (resolve_id IS NULL OR held.run_id IN (SELECT run_id FROM resolvable))" : ""}
      RETURNING runs.run_id, seq, runs.attempt, ts, events, body, new_output, resolve_id, resolution
    ),
    ${resolves ? resolved : ""}
    ${outputs ? output : ""}
    ${steps.length === 0 ? "" : upsertSteps(params, steps)}
    ${open.length === 0 ? "" : upsertInterrupts(params, open)}
    journal AS (
      INSERT INTO run_events (run_id, last_seq, first_seq, attempt, ts, body)
      SELECT run_id, seq, seq - events + 1, attempt, ts, body FROM changed WHERE body IS NOT NULL
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

const output = `
    answered AS (
      UPDATE run_values SET output = new_output FROM changed
      WHERE run_values.run_id = changed.run_id AND new_output IS NOT NULL
    ),`

const upsertSteps = (params: Params, rows: ReadonlyArray<ReadonlyArray<unknown>>) => `
    ${params.table("step", stepColumns, rows)},
    stepped AS (
      INSERT INTO run_steps (run_id, name, value) SELECT run_id, name, value FROM step JOIN changed USING (run_id)
      ON CONFLICT (run_id, name) DO UPDATE SET value = excluded.value
    ),`

const upsertInterrupts = (params: Params, rows: ReadonlyArray<ReadonlyArray<unknown>>) => `
    ${params.table("opening", interruptColumns, rows)},
    opened AS (
      INSERT INTO interrupts (run_id, id, state, created_at, expires_at, request, resolution)
      SELECT run_id, id, state, created_at, expires_at, request, opening.resolution
      FROM opening JOIN changed USING (run_id)
      ON CONFLICT (run_id, id) DO UPDATE SET state = excluded.state, created_at = excluded.created_at,
        expires_at = excluded.expires_at, request = excluded.request, resolution = excluded.resolution
    ),`

const changeColumns: Columns = {
  run_id: "text",
  if_attempt: "float8",
  if_states: "text",
  ts: "float8",
  events: "float8",
  body: "text",
  new_emitted: "float8",
  new_state: "text",
  new_attempt: "float8",
  new_usage: "text",
  new_error: "text",
  new_finished_at: "float8",
  new_output: "text",
  resolve_id: "text",
  resolution: "text"
}

const stepColumns: Columns = { run_id: "text", name: "text", value: "text" }

const interruptColumns: Columns = {
  run_id: "text",
  id: "text",
  state: "text",
  created_at: "float8",
  expires_at: "float8",
  request: "text",
  resolution: "text"
}
