import { assert, describe, it } from "@effect/vitest"
import { RunStore } from "@fastagentic/core/RunStore"
import { makeRun, suite } from "@fastagentic/core/test/contract/RunStoreContract"
import { Effect, Layer } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { withRoom } from "../../src/sql/room.ts"
import { SqliteClient, SqliteRunStore } from "../../src/sqlite/index.ts"
import { damagedSuite } from "../sql/damagedSuite.ts"
import { sideEffectSuite } from "../sql/sideEffectSuite.ts"
import { transactSuite } from "../sql/transactSuite.ts"

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

const token = (delta: string) => ({ type: "token", data: { delta } }) as const

describe("SqliteRunStore", () => {
  it.effect("keeps everything when it is closed and opened again", () =>
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
        assert.include(yield* plan(`${records} WHERE tenant = 't' AND run_id < 'r' ${page}`), "runs_by_tenant")
        assert.include(yield* plan(`${records} WHERE tenant = 't' AND owner = 'o' ${page}`), "runs_by_owner")
        assert.include(yield* plan(`${records} WHERE tenant = 't' AND thread_id = 'o' ${page}`), "runs_by_thread")
        assert.include(yield* plan(`${records} WHERE tenant = 't' AND parent_run_id = 'p' ${page}`), "runs_by_parent")
        const runningIds = "SELECT run_id FROM runs WHERE state = 'running'"
        const unfinished = yield* plan(`${records} WHERE run_id IN (${runningIds}) AND TRUE ORDER BY run_id`)
        assert.include(unfinished, "COVERING INDEX runs_running")
        assert.notInclude(unfinished, "SCAN runs;")
        const due = "wake_at <= 5 AND state IN ('queued', 'suspended') AND agent IN ('a', 'b')"
        const dueIds = yield* plan(`SELECT run_id FROM runs WHERE ${due} ORDER BY priority DESC, run_id LIMIT 5`)
        assert.include(dueIds, "COVERING INDEX runs_due")
        const inLine = yield* planOf(
          sql`SELECT run_id FROM runs AS run WHERE wake_at <= 5 AND state IN ('queued', 'suspended') AND agent = 'a'
            AND ${withRoom(sql, ["a"], { agent: 1, tenant: 1, thread: true })} ORDER BY priority DESC, run_id LIMIT 5`
        )
        for (const index of ["runs_due", "runs_running", "runs_open_in_thread"]) {
          assert.include(inLine, `INDEX ${index}`)
        }
        assert.notMatch(inLine, /SCAN \w+;/u)
        const ended = "finished_at < 5 AND state IN ('completed') ORDER BY finished_at, run_id LIMIT 5"
        assert.include(yield* plan(`${records} WHERE ${ended}`), "runs_finished")
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
        // A row that cannot be read shows whether it was.
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

  it.effect("a batch that cannot be committed leaves nothing and says so", () =>
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

describe("a process that is killed", () => {
  /** Writes batches forever and says what is committed. */
  const writer = (filename: string, runIds: ReadonlyArray<string>) => `
    import { RunStore } from "@fastagentic/core/RunStore"
    import { SqliteRunStore } from "@fastagentic/stores/sqlite"
    import { Effect } from "effect"
    import { writeSync } from "node:fs"
    const runIds = ${JSON.stringify(runIds)}
    const write = RunStore.use((store) => Effect.gen(function*() {
      for (let round = 1; ; round++) {
        const written = yield* store.write(runIds.map((runId) => ({
          _tag: "Commit", runId, attempt: 1, from: ["running"], ts: round, set: { emitted: round },
          events: [{ type: "token", data: { delta: "x".repeat(round % 300) } }, { type: "custom", data: { name: "round", value: round } }],
          steps: [{ name: "step " + round, value: round }]
        })))
        if (written.some((one) => one._tag !== "Committed")) throw new Error("refused")
        writeSync(1, round + "\\n")
      }
    }))
    await Effect.runPromise(Effect.provide(write, SqliteRunStore.layer({ filename: ${JSON.stringify(filename)} })))
  `

  /** Lets another process write until so many rounds more are committed, then kills it in the middle of whatever. */
  const killAfter = (filename: string, runIds: ReadonlyArray<string>, rounds: number) =>
    Effect.promise(async () => {
      const child = spawn(process.execPath, ["--input-type=module", "--eval", writer(filename, runIds)], {
        cwd: import.meta.dirname,
        stdio: ["ignore", "pipe", "inherit"]
      })
      const exited = once(child, "exit")
      let committed = 0
      for await (const line of createInterface({ input: child.stdout })) {
        committed = Math.max(committed, Number(line))
        if (committed >= rounds) child.kill("SIGKILL")
      }
      assert.deepStrictEqual(await exited, [null, "SIGKILL"])
      return committed
    })

  it.effect("leaves whole journals with everything it was told is committed", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const runs = Array.from({ length: 4 }, () => makeRun())
      const runIds = runs.map((run) => run.runId)
      yield* opened(filename, (store) => store.write(runs.map((run) => ({ _tag: "Admit", run, events: [] }))))
      let before = 0
      for (const rounds of [1, 5, 23, 80]) {
        const committed = yield* killAfter(filename, runIds, rounds)
        const totals = yield* opened(filename, (store, sql) =>
          Effect.gen(function*() {
            assert.deepStrictEqual(yield* sql`PRAGMA integrity_check`.values, [["ok"]])
            return yield* Effect.forEach(runIds, (runId) =>
              Effect.gen(function*() {
                const record = yield* store.get(runId)
                const events = yield* store.events(runId, 0, 100_000)
                const steps = yield* store.steps(runId)
                assert.deepStrictEqual(events.map((event) => event.seq), events.map((_, index) => index + 1))
                assert.strictEqual(record?.seq, events.length)
                // Each commit is all there or not at all: its events, its record, its step.
                const last = events[events.length - 1]
                assert.deepStrictEqual(last?.data, { name: "round", value: record?.emitted ?? 0 })
                assert.isTrue(steps.some((step) => step.name === `step ${record?.emitted}`))
                return events.length / 2
              }))
          }))
        // All runs of a batch stand at the same commit.
        assert.deepStrictEqual(new Set(totals).size, 1)
        const [total = 0] = totals
        assert.isAtLeast(total - before, committed)
        before = total
      }
    }), 60_000)
})
