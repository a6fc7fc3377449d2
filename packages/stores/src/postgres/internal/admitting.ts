// Admissions of a batch as one SQL statement; `batch.ts` groups them so that no two share a run or a key.
import { stamp } from "@fastagentic/core/run/Event"
import type { Admit, Written } from "@fastagentic/core/store/RunStore"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Row } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import * as Fields from "../../sql/recordColumns.ts"
import { another, refused } from "../../sql/runReads.ts"
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

/** An admission with its rows. */
export interface Admission {
  readonly _tag: "Admission"
  readonly index: number
  readonly runId: string
  readonly key: string | undefined
  readonly write: Admit
  readonly record: ReadonlyArray<unknown>
  readonly values: ReadonlyArray<unknown>
  readonly steps: ReadonlyArray<ReadonlyArray<unknown>>
  readonly open: ReadonlyArray<ReadonlyArray<unknown>>
  readonly facts: ReadonlyArray<ReadonlyArray<unknown>>
}

/** Throws when a value is not JSON. */
export const admissionOf = (write: Admit, index: number): Admission => ({
  _tag: "Admission",
  index,
  runId: write.run.runId,
  key: write.run.idempotencyKey === undefined ? undefined : JSON.stringify(Rows.keyParams(write.run)),
  write,
  record: Rows.recordParams(write.run, write.events.length),
  values: [...Rows.valueParams(write.run), Rows.bodyOf(write.events)],
  steps: stepRows(write.run.runId, write.steps),
  open: interruptRows(write.run.runId, write.interrupts),
  facts: factRows(write.run.runId, write.facts)
})

/** Admits runs that differ in id and key. */
export const admit = (
  sql: SqlClient,
  node: string,
  admissions: ReadonlyArray<Admission>
): Effect.Effect<ReadonlyMap<Admission, Written>, SqlError> =>
  Effect.gen(function*() {
    const admitted = new Set(Array.from(yield* insert(sql, node, admissions), (row) => row["run_id"]))
    const answers = new Map<Admission, Written>()
    for (const one of admissions) answers.set(one, admitted.has(one.runId) ? admittedOf(one) : refused)
    const unanswered = admissions.filter(({ key, runId }) => key !== undefined && !admitted.has(runId))
    if (unanswered.length === 0) return answers
    for (const row of yield* selectHolders(sql, unanswered)) {
      answers.set(at(unanswered, row), yield* another("Attached", row))
    }
    const unheld = unanswered.filter((one) => answers.get(one) === refused)
    if (unheld.length === 0) return answers
    const freed = Array.from(yield* freeKeys(sql, unheld), (row) => at(unheld, row))
    if (freed.length === 0) return answers
    return new Map([...answers, ...(yield* admit(sql, node, freed))])
  })

const at = (admissions: ReadonlyArray<Admission>, row: Row): Admission => {
  const admission = admissions[Number(row["position"])]
  if (admission === undefined) throw new Error("the database answered for an admission that was not in the query")
  return admission
}

const admittedOf = ({ write: { events, run } }: Admission): Written => {
  const { attempt, createdAt: ts, runId } = run
  return {
    _tag: "Admitted",
    run: { ...run, seq: events.length },
    events: stamp(events, { runId, attempt, ts, lastSeq: 0 })
  }
}

/**
 * The first insert of an idempotency key wins; a second one waits until the first has committed, and inserts nothing.
 * Two admissions of the same run id at the same moment violate its uniqueness: one of them is retried and finds it
 * taken.
 */
const insert = (sql: SqlClient, node: string, admissions: ReadonlyArray<Admission>) => {
  const params = new Params()
  const rows = admissions.map(({ record, values }) => [...record, ...values])
  const admission = params.table("admission", admissionColumns, rows)
  const keyed = admissions.some(({ key }) => key !== undefined)
  return sql.unsafe<Row>(
    `WITH ${admission},
    fresh AS (
      SELECT * FROM admission WHERE (SELECT runs.run_id FROM runs WHERE runs.run_id = admission.run_id) IS NULL
    ),
    ${keyed ? claimed : ""}
    admitted AS (
      INSERT INTO runs (${runColumns}, node) SELECT ${runColumns}, ${params.add(node)} FROM fresh
      ${keyed ? "WHERE idempotency_key IS NULL OR run_id IN (SELECT run_id FROM claimed)" : ""}
      RETURNING run_id
    ),
    stored AS (
      INSERT INTO run_values (${valueColumns}) SELECT ${valueColumns} FROM admission JOIN admitted USING (run_id)
    ),
    ${upsertSteps(params, admissions.flatMap(({ steps }) => steps), fresh)}
    ${
      upsertInterrupts(
        params,
        admissions.flatMap(({ open }) => open),
        fresh,
        "run.state IN ('queued', 'running', 'suspended')"
      )
    }
    ${insertFacts(params, admissions.flatMap(({ facts }) => facts), "admitted")}
    journal AS (
      INSERT INTO run_events (run_id, last_seq, first_seq, attempt, ts, body)
      SELECT run_id, seq, 1, attempt, created_at, body FROM admission JOIN admitted USING (run_id)
      WHERE body IS NOT NULL
    )
    SELECT run_id FROM admitted`,
    params.values
  )
}

const fresh = "(SELECT run_id, seq, state, tenant, owner FROM admission JOIN admitted USING (run_id)) AS run"

/** Keys are inserted in sorted order, so that two batches cannot wait for each other. */
const claimed = `
    claimed AS (
      INSERT INTO idempotency_keys (tenant, owner, kind, agent, key, run_id)
      SELECT tenant, owner, kind, agent, idempotency_key, run_id FROM fresh
      WHERE idempotency_key IS NOT NULL
      ORDER BY tenant, owner, kind, agent, idempotency_key
      ON CONFLICT DO NOTHING RETURNING run_id
    ),`

/** The runs that hold the keys of these admissions; `position` is the index of the admission. */
export const selectHolders = (sql: SqlClient, admissions: ReadonlyArray<Admission>) => {
  const params = new Params()
  return sql.unsafe<Row>(
    `WITH ${requested(params, admissions)},
    holder AS (
      SELECT position, run_id FROM requested, LATERAL (
        SELECT run_id FROM idempotency_keys AS held WHERE held.tenant = requested.tenant AND held.owner = requested.owner
          AND held.kind = requested.kind AND held.agent = requested.agent AND held.key = requested.key LIMIT 1
      ) AS key
    )
    SELECT position, ${Rows.recordColumns}
    FROM holder JOIN runs USING (run_id) LEFT JOIN run_values USING (run_id)`,
    params.values
  )
}

/**
 * Deletes keys whose run was removed. A run becomes visible together with its key, so it cannot be still in progress.
 */
const freeKeys = (sql: SqlClient, admissions: ReadonlyArray<Admission>) => {
  const params = new Params()
  return sql.unsafe<Row>(
    `WITH ${requested(params, admissions)}
    DELETE FROM idempotency_keys AS held USING requested
    WHERE held.tenant = requested.tenant AND held.owner = requested.owner AND held.kind = requested.kind
      AND held.agent = requested.agent AND held.key = requested.key
      AND NOT EXISTS (SELECT FROM runs WHERE runs.run_id = held.run_id)
    RETURNING position`,
    params.values
  )
}

const requested = (params: Params, admissions: ReadonlyArray<Admission>) =>
  params.table(
    "requested",
    requestedColumns,
    admissions.map(({ write }, position) => [position, ...Rows.keyParams(write.run)])
  )

const runColumns = Fields.runColumns.map(({ column }) => column).join(", ")

const valueColumns = ["run_id", ...Fields.valueColumns.map(({ column }) => column)].join(", ")

const admissionColumns: Columns = {
  ...typesOf(Fields.runColumns),
  ...typesOf(Fields.valueColumns),
  body: "text"
}

const requestedColumns: Columns = {
  position: "float8",
  tenant: "text",
  owner: "text",
  kind: "text",
  agent: "text",
  key: "text"
}
