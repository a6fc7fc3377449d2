// Rows of steps, interrupts and facts; admissions and commits add them to their statement.
import { audienceOf, type Interrupt } from "@fastagentic/core/run/Interrupt"
import type { Fact, Step } from "@fastagentic/core/store/RunStore"
import { json } from "../../sql/recordColumns.ts"
import * as Rows from "../../sql/runRows.ts"
import type { Columns, Params } from "./params.ts"

type Table = ReadonlyArray<ReadonlyArray<unknown>>

const none: Table = []

/** Keeps the last step of each name, because one statement can write a row only once. */
export const stepRows = (runId: string, steps: ReadonlyArray<Step> = []): Table => {
  const [first, second] = steps
  if (first === undefined) return none
  if (second === undefined) return [[runId, first.name, json(first.value)]]
  return [...new Map(steps.map(({ name, value }) => [name, [runId, name, json(value)]])).values()]
}

/** Keeps the last interrupt of each id, as `stepRows` does; the id is the second value. */
export const interruptRows = (runId: string, interrupts: ReadonlyArray<Interrupt> = []): Table =>
  interrupts.length === 0 ? none : [
    ...new Map(
      interrupts.map((interrupt) => [interrupt.id, [...Rows.interruptParams(runId, interrupt), audienceOf(interrupt)]])
    ).values()
  ]

/** The facts of a write, which are kept when their run is written. */
export const factRows = (runId: string, facts: ReadonlyArray<Fact> = []): Table =>
  facts.length === 0 ? none : facts.map(({ at, body, id }) => [runId, id, at, body])

/** Part of a statement: keeps the facts of the runs in `runs`. */
export const insertFacts = (params: Params, rows: Table, runs: string): string =>
  rows.length === 0 ? "" : `
    ${params.table("fact", factColumns, rows)},
    noted AS (
      INSERT INTO audit_outbox (id, at, body) SELECT fact_id, fact_at, fact_body FROM fact JOIN ${runs} USING (run_id)
      ON CONFLICT (id) DO NOTHING
    ),`

/** Part of a statement: writes the steps of the runs in `runs`, with the number of their last event. */
export const upsertSteps = (params: Params, rows: Table, runs: string): string =>
  rows.length === 0 ? "" : `
    ${params.table("step", stepColumns, rows)},
    stepped AS (
      INSERT INTO run_steps (run_id, name, value, seq) SELECT run_id, name, value, seq FROM step JOIN ${runs} USING (run_id)
      ON CONFLICT (run_id, name) DO UPDATE SET value = excluded.value, seq = excluded.seq
    ),`

/**
 * Part of a statement: writes the interrupts of the runs in `runs`, with `tenant` and `owner`, and the index of those that
 * are open. `isOpen` is the condition that the run does not end with this statement.
 */
export const upsertInterrupts = (params: Params, rows: Table, runs: string, isOpen: string): string =>
  rows.length === 0 ? "" : `
    ${params.table("opening", interruptColumns, rows)},
    pending AS (
      INSERT INTO pending_interrupts (run_id, id, tenant, owner, audience)
      SELECT run_id, id, tenant, owner, audience FROM opening JOIN ${runs} USING (run_id)
      WHERE opening.state = 'open' AND ${isOpen}
      ON CONFLICT (run_id, id) DO UPDATE SET audience = excluded.audience
    ),
    opened AS (
      INSERT INTO interrupts (run_id, id, state, created_at, expires_at, request, resolution)
      SELECT run_id, id, opening.state, opening.created_at, expires_at, request, opening.resolution
      FROM opening JOIN ${runs} USING (run_id)
      ON CONFLICT (run_id, id) DO UPDATE SET state = excluded.state, created_at = excluded.created_at,
        expires_at = excluded.expires_at, request = excluded.request, resolution = excluded.resolution
    ),`

const factColumns: Columns = { run_id: "text", fact_id: "text", fact_at: "float8", fact_body: "text" }

const stepColumns: Columns = { run_id: "text", name: "text", value: "text" }

const interruptColumns: Columns = {
  run_id: "text",
  id: "text",
  state: "text",
  created_at: "float8",
  expires_at: "float8",
  request: "text",
  resolution: "text",
  audience: "text"
}
