// Rows of turns: a commit that completes its run appends what was said to the thread, in the same statement.
import type { Turn } from "@fastagentic/core/thread/ThreadStore"
import { bodiesOf } from "../../sql/threads.ts"
import type { Columns, Params } from "./params.ts"

/** The messages of a turn with their place in it. Throws when a message is not JSON. */
export const saidRows = (runId: string, turn: Turn | undefined): ReadonlyArray<ReadonlyArray<unknown>> =>
  turn === undefined ? [] : bodiesOf(turn.messages).map(([body, size], index) => [
    runId,
    turn.tenant,
    turn.owner,
    turn.threadId,
    index + 1,
    size,
    body
  ])

/**
 * Part of a statement: appends the turns of the runs in `changed`, no two of them to one thread. The row of a thread is
 * locked until the commit, so that its turns come one after the other; threads are locked in the order of their names.
 */
export const appendTurns = (params: Params, rows: ReadonlyArray<ReadonlyArray<unknown>>): string =>
  rows.length === 0 ? "" : `
    ${params.table("said", saidColumns, rows)},
    grown AS (
      INSERT INTO threads AS thread (tenant, owner, thread_id, created_at, updated_at, messages)
      SELECT turn_tenant, turn_owner, turn_thread, MAX(ts), MAX(ts), COUNT(*) FROM said JOIN changed USING (run_id)
      GROUP BY turn_tenant, turn_owner, turn_thread ORDER BY turn_tenant, turn_owner, turn_thread
      ON CONFLICT (tenant, owner, thread_id) DO UPDATE SET messages = thread.messages + excluded.messages,
        updated_at = GREATEST(thread.updated_at, excluded.updated_at)
      RETURNING tenant, owner, thread_id, messages
    ),
    spoken AS (
      INSERT INTO thread_messages (tenant, owner, thread_id, position, run_id, at, size, body)
      SELECT turn_tenant, turn_owner, turn_thread,
        messages - COUNT(*) OVER (PARTITION BY run_id) + place, run_id, ts, turn_size, turn_body
      FROM said JOIN changed USING (run_id)
        JOIN grown ON grown.tenant = turn_tenant AND grown.owner = turn_owner AND grown.thread_id = turn_thread
    ),`

const saidColumns: Columns = {
  run_id: "text",
  turn_tenant: "text",
  turn_owner: "text",
  turn_thread: "text",
  place: "float8",
  turn_size: "float8",
  turn_body: "text"
}
