import { assert, describe, it } from "@effect/vitest"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun, suite } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Effect, Layer } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { countDue, dueTurns } from "../../src/sql/dueTurns.ts"
import { SqliteClient, SqliteRunStore } from "../../src/sqlite/index.ts"
import { damagedSuite } from "../sql/damagedSuite.ts"
import { listSuite } from "../sql/listSuite.ts"
import { sideEffectSuite } from "../sql/sideEffectSuite.ts"
import { transactSuite } from "../sql/transactSuite.ts"
import { token } from "../writes.ts"

const temporaryFile = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "sqlite-run-store-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  ),
  (folder) => join(folder, "runs.db")
)

const Stored = Layer.unwrap(Effect.map(temporaryFile, (filename) => SqliteRunStore.layer({ filename })))

suite("SqliteRunStore in memory", SqliteRunStore.layer({ filename: ":memory:" }))
suite("SqliteRunStore in a file", Stored)

describe("SqliteRunStore with SQL", () => {
  const store = Layer.provideMerge(SqliteRunStore.layerNoClient, SqliteClient.layer({ filename: ":memory:" }))
  damagedSuite(store)
  transactSuite(store)
  sideEffectSuite(store)
  listSuite(store)
})

/** Opens a file, uses it, closes it. */
const opened = <A, E>(
  filename: string,
  use: (store: RunStore["Service"], sql: SqlClient.SqlClient) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    return yield* use(yield* RunStore, yield* SqlClient.SqlClient)
  }).pipe(
    Effect.provide(Layer.provideMerge(SqliteRunStore.layerNoClient, SqliteClient.layer({ filename })), { local: true })
  )

const inMemory = <A, E>(use: (store: RunStore["Service"], sql: SqlClient.SqlClient) => Effect.Effect<A, E>) =>
  opened(":memory:", use)

describe("SqliteRunStore", () => {
  it.effect("keeps everything over a close and a new start", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const run = makeRun({ idempotencyKey: "key" })
      const commit = {
        _tag: "Commit",
        runId: run.runId,
        attempt: 1,
        from: ["running"],
        ts: run.createdAt,
        events: [token("b"), token("c")],
        steps: [{ name: "plan", value: 1 }]
      } as const
      const read = (store: RunStore["Service"]) =>
        Effect.all([store.get(run.runId), store.events(run.runId, 0, 10), store.steps(run.runId), store.unfinished])
      const before = yield* opened(filename, (store) =>
        Effect.andThen(store.write([{ _tag: "Admit", run, events: [token("a")] }, commit]), read(store)))
      assert.strictEqual(before[1].length, 3)
      yield* opened(filename, (store) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* read(store), before)
          const repeat = { ...run, runId: `${run.runId}-again` }
          const written = yield* store.write([{ _tag: "Admit", run: repeat, events: [] }, commit])
          assert.deepStrictEqual(
            written.map((one) =>
              one._tag
            ),
            ["Attached", "Committed"]
          )
          assert.strictEqual((yield* store.get(run.runId))?.seq, 5)
        }))
    }))

  it.effect("reads one event of a long journal without reading the others", () =>
    inMemory((store, sql) =>
      Effect.gen(function*() {
        const plan = (statement: string) =>
          Effect.map(sql.unsafe<{ detail: string }>(`EXPLAIN QUERY PLAN ${statement}`), (rows) =>
            rows.map((row) => row.detail).join("; "))
        const planOf = (statement: Fragment) =>
          Effect.map(sql<{ detail: string }>`EXPLAIN QUERY PLAN ${statement}`, (rows) =>
            rows.map((row) =>
              row.detail
            ).join("; "))
        const records = "SELECT * FROM runs LEFT JOIN run_values USING (run_id)"
        const page = "ORDER BY run_id DESC LIMIT 5"
        assert.include(
          yield* plan(`${records} WHERE listed = 1 AND tenant = 't' AND run_id < 'r' ${page}`),
          "runs_by_tenant"
        )
        assert.include(
          yield* plan(`${records} WHERE listed = 1 AND tenant = 't' AND owner = 'o' ${page}`),
          "runs_by_owner"
        )
        assert.include(yield* plan(`${records} WHERE tenant = 't' AND thread_id = 'o' ${page}`), "runs_by_thread")
        assert.include(yield* plan(`${records} WHERE tenant = 't' AND parent_run_id = 'p' ${page}`), "runs_by_parent")
        const runningIds = "SELECT run_id FROM runs WHERE state = 'running'"
        const unfinished = yield* plan(`${records} WHERE run_id IN (${runningIds}) AND TRUE ORDER BY run_id`)
        assert.include(unfinished, "COVERING INDEX runs_running")
        assert.notInclude(unfinished, "SCAN runs;")
        const line = { now: 5, agents: ["a", "b"], limit: 5, offset: 0, lateral: false }
        const turns = yield* planOf(dueTurns(sql, line))
        assert.include(turns, "COVERING INDEX runs_due (agent=? AND tenant>?)")
        assert.include(turns, "COVERING INDEX runs_due (agent=? AND tenant=? AND wake_at<?)")
        assert.include(turns, "SEARCH entry USING PRIMARY KEY (run_id=?)")
        assert.notMatch(turns, /SCAN (runs?|entry)\b/u)
        const counted = yield* planOf(countDue(sql, line))
        assert.include(counted, "COVERING INDEX runs_due (agent=? AND tenant=? AND wake_at<?)")
        const inLine = yield* planOf(dueTurns(sql, { ...line, within: { agent: 1, tenant: 1, thread: true } }))
        for (const index of ["runs_due", "runs_running", "runs_open_in_thread"]) {
          assert.include(inLine, `INDEX ${index}`)
        }
        assert.notMatch(inLine, /SCAN (runs?|entry|other);/u)
        const ended = "listed = 1 AND state = 'completed' AND finished_at < 5 ORDER BY finished_at, run_id LIMIT 5"
        assert.include(yield* plan(`${records} WHERE ${ended}`), "runs_ended (state=? AND finished_at<?)")
        const toCompact =
          "listed = 1 AND compacted >= 0 AND finished_at < 5 AND state NOT IN ('queued', 'running', 'suspended')"
        const compacting = `SELECT run_id FROM runs WHERE ${toCompact} ORDER BY finished_at, run_id LIMIT 5`
        assert.include(yield* plan(compacting), "runs_to_compact")
        const running = "state = 'running' AND kind = 'agent' AND agent = 'a' AND run_id <> 'r'"
        assert.include(yield* plan(`SELECT COUNT(*) FROM runs WHERE ${running} AND tenant = 't'`), "runs_running")
        const thread = "tenant = 't' AND owner = 'o' AND thread_id = 'h'"
        const open = `${thread} AND state IN ('queued', 'running', 'suspended')`
        assert.include(yield* plan(`SELECT run_id FROM runs WHERE ${open} ORDER BY run_id`), "runs_open_in_thread")
        const run = makeRun()
        yield* store.write([{ _tag: "Admit", run, events: [] }])
        const commits = Array.from({ length: 2_000 }, (_, index) =>
          ({
            _tag: "Commit",
            runId: run.runId,
            attempt: 1,
            from: ["running"],
            ts: index,
            events: [token(`${index}`), token("")]
          }) as const)
        yield* store.write(commits)
        // A damaged row shows whether it was read.
        yield* sql`UPDATE run_events SET body = '{' WHERE last_seq < 3999`
        assert.strictEqual((yield* store.events(run.runId, 3_999, 1)).length, 1)
        yield* sql`UPDATE run_events SET body = '[{"type":"log","data":{"level":"a","message":"b"}}]', first_seq = 2
          WHERE last_seq = 2`
        assert.deepStrictEqual(
          (yield* store.events(run.runId, 1, 1)).map((event) =>
            event.type
          ),
          ["log"]
        )
      })
    ))

  it.effect("a write that is not JSON is refused alone", () =>
    inMemory((store) =>
      Effect.gen(function*() {
        const run = makeRun()
        const circular: { self?: unknown } = {}
        circular.self = circular
        const commit = (value: unknown) => ({
          _tag: "Commit",
          runId: run.runId,
          attempt: 1,
          from: ["running"],
          ts: 1,
          events: [token("a")],
          steps: [{ name: "s", value: JSON.parse("null", () => value) }]
        } as const)
        const written = yield* store.write([
          { _tag: "Admit", run, events: [] },
          commit(circular),
          commit(1n),
          commit(Symbol("s")),
          commit(JSON.parse("[".repeat(100_000) + "]".repeat(100_000))),
          commit({ fine: true })
        ])
        const tags = ["Admitted", "Refused", "Refused", "Refused", "Refused", "Committed"]
        assert.deepStrictEqual(written.map((one) => one._tag), tags)
        assert.strictEqual((yield* store.get(run.runId))?.seq, 1)
      })
    ))

  it.effect("a batch that cannot be committed fails and stores nothing", () =>
    inMemory((store, sql) =>
      Effect.gen(function*() {
        const run = makeRun()
        yield* store.write([{ _tag: "Admit", run, events: [token("a")] }])
        yield* sql`CREATE TRIGGER full BEFORE INSERT ON run_steps BEGIN SELECT RAISE(ABORT, 'disk is full'); END`
        const commit = { _tag: "Commit", runId: run.runId, attempt: 1, from: ["running"], ts: 1 } as const
        const other = makeRun()
        const error = yield* Effect.flip(store.write([
          { _tag: "Admit", run: other, events: [token("a")] },
          { ...commit, events: [token("b")] },
          { ...commit, events: [], steps: [{ name: "s", value: 1 }] }
        ]))
        assert.containSubset(error, { _tag: "StoreUnavailable", operation: "write" })
        assert.isUndefined(yield* store.get(other.runId))
        assert.strictEqual((yield* store.get(run.runId))?.seq, 1)
        assert.strictEqual((yield* store.events(run.runId, 0, 5)).length, 1)
        const written = yield* store.write([{ ...commit, events: [token("b")] }])
        assert.containSubset(written, [{ _tag: "Committed", events: [{ seq: 2 }] }])
      })
    ))
})
