/** Tests that a damaged row affects its run alone: `damagedSuite(layer)` in a test file of a store with SQL. */
import { assert, describe, layer } from "@effect/vitest"
import { type Commit, type Query, type ReadError, RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Effect, type Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { token } from "../writes.ts"

/** A run with a row in every table, and another run. */
const two = Effect.gen(function*() {
  const store = yield* RunStore
  const agent = `agent ${makeRun().runId}`
  const good = makeRun({ agent, state: "suspended", wakeAt: 1, finishedAt: 1 })
  const bad = makeRun({ agent, tenant: good.tenant, idempotencyKey: "key", threadId: "t" })
  const { runId } = bad
  const commit: Commit = { _tag: "Commit", runId, attempt: 1, from: ["running"], ts: 1, events: [token("b")] }
  yield* store.write([
    { _tag: "Admit", run: good, events: [token("a")] },
    { _tag: "Admit", run: bad, events: [token("a")] },
    {
      ...commit,
      steps: [{ name: "first", value: 1 }, { name: "second", value: 2 }],
      open: [{ id: "i", runId, name: "n", kind: "input", createdAt: 1, state: "open" }]
    }
  ])
  return { store, sql: yield* SqlClient, good, bad, commit }
})

export const damagedSuite = (store: Layer.Layer<RunStore | SqlClient, unknown>) =>
  layer(store, { excludeTestServices: true, timeout: "60 seconds" })("a damaged row", (it) => {
    /** Damages a value, checks, and restores it. */
    const damaged = Effect.fnUntraced(function*<A, E, R>(
      { runId, table, column, where = "1 = 1" }: {
        readonly runId: string
        readonly table: string
        readonly column: string
        readonly where?: string
      },
      value: string | number,
      look: Effect.Effect<A, E, R>
    ) {
      const sql = yield* SqlClient
      const row = sql`run_id = ${runId} AND ${sql.literal(where)}`
      const [before] = yield* sql`SELECT ${sql(column)} AS value FROM ${sql(table)} WHERE ${row}`
      yield* sql`UPDATE ${sql(table)} SET ${sql(column)} = ${value} WHERE ${row}`
      const seen = yield* look
      yield* sql`UPDATE ${sql(table)} SET ${sql(column)} = ${before?.["value"]} WHERE ${row}`
      return seen
    })

    describe("is JournalDamaged for its run", () => {
      const parts = [
        ["run_steps", "value", "{not json", "step second", "name = 'second'"],
        ["run_steps", "value", "", "step first", "name = 'first'"],
        ["run_events", "body", "[{}]", "events after 0", "last_seq = 2"],
        ["run_events", "body", "[null]", "events after 0", "last_seq = 1"],
        ["run_events", "body", "[]", "events after 0", "last_seq = 2"],
        ["run_events", "body", "{", "events after 0", "last_seq = 2"],
        ["interrupts", "request", "7", "interrupt i"],
        ["interrupts", "state", "ajar", "interrupt i"],
        ["interrupts", "resolution", "{}", "interrupt i"],
        ["runs", "state", "sleeping", "record"],
        ["runs", "usage", "[]", "record"],
        ["runs", "waits_for", "godot", "record"],
        ["runs", "kind", "", "record"],
        ["runs", "error", "{}", "record"],
        ["runs", "priority", 2 ** 60, "record"],
        ["run_values", "payload", "{not json", "record"],
        ["runs", "forked_from", "{}", "record"],
        ["run_values", "run_id", "gone", "record"]
      ] as const
      for (const [table, column, value, what, where = "1 = 1"] of parts) {
        it.effect(`when ${table}.${column} is ${value}`, () =>
          Effect.gen(function*() {
            const { bad, good, sql, store } = yield* two
            const { runId } = bad
            const read = (runId: string): Effect.Effect<unknown, ReadError> => {
              if (table === "run_steps") return store.steps(runId)
              if (table === "run_events") return store.events(runId, 0, 5)
              return table === "interrupts" ? store.interrupts(runId) : store.get(runId)
            }
            const error = yield* damaged({ runId, table, column, where }, value, Effect.flip(read(runId)))
            assert.deepInclude(error, { _tag: "JournalDamaged", runId, what })
            yield* read(good.runId)
            if (column === "run_id") yield* sql`UPDATE run_values SET run_id = ${runId} WHERE run_id = ${value}`
            yield* read(runId)
          }))
      }

      it.effect("when an event is missing", () =>
        Effect.gen(function*() {
          const { bad: { runId }, commit, sql, store } = yield* two
          yield* store.write([commit])
          yield* sql`DELETE FROM run_events WHERE run_id = ${runId} AND last_seq = 2`
          assert.deepInclude(yield* Effect.flip(store.events(runId, 0, 5)), { _tag: "JournalDamaged", runId })
          assert.deepInclude(yield* Effect.flip(store.events(runId, 1, 5)), { _tag: "JournalDamaged", runId })
          assert.strictEqual((yield* store.events(runId, 2, 5)).length, 1)
        }))
    })

    it.effect("is not changed when journals are compacted", () =>
      Effect.gen(function*() {
        const { bad: { runId }, commit, sql, store } = yield* two
        yield* store.write([commit, { ...commit, set: { state: "completed", finishedAt: 5 } }])
        yield* sql`DELETE FROM run_events WHERE run_id = ${runId} AND last_seq = 3`
        yield* store.compact({ finishedBefore: 10, limit: 100 })
        assert.deepStrictEqual((yield* store.events(runId, 0, 2)).map(({ seq }) => seq), [1, 2])
        assert.deepInclude(yield* Effect.flip(store.events(runId, 2, 5)), { _tag: "JournalDamaged", runId })
      }))

    it.effect("is left out of lists, whose pages stay full", () =>
      Effect.gen(function*() {
        const { bad, good, store } = yield* two
        const { agent, runId, tenant } = bad
        const query: Query = { tenant, limit: 1 }
        const lists = Effect.map(
          Effect.all({
            list: store.list(query),
            unfinished: store.unfinished,
            due: store.due({ now: 10, agents: [agent], limit: 1 }),
            remove: store.remove({ tenant, states: ["completed"], finishedBefore: 10, limit: 1, dryRun: true })
          }),
          ({ unfinished, ...lists }) => ({ ...lists, unfinished: unfinished.filter((run) => run.tenant === tenant) })
        )
        const row = { runId, table: "run_values", column: "payload" }
        const set = (state: "running" | "queued" | "completed", priority = 0) =>
          Effect.flatMap(SqlClient, (sql) =>
            sql`
              UPDATE runs SET state = ${state}, wake_at = 1, finished_at = 0, priority = ${priority}
              WHERE run_id = ${runId}`)
        yield* set("running")
        const { list, unfinished } = yield* damaged(row, "{not json", lists)
        assert.deepStrictEqual(list.map((run) => run.runId), [good.runId])
        assert.deepStrictEqual(unfinished, [])
        yield* set("queued", 9)
        const { due } = yield* damaged(row, "{not json", lists)
        assert.deepStrictEqual(due.map((run) => run.runId), [good.runId])
        yield* set("completed")
        const { remove } = yield* damaged(row, "{not json", lists)
        assert.deepStrictEqual(remove, [])
        assert.deepStrictEqual((yield* lists).remove.map((run) => run.runId), [runId])
      }))

    it.effect("does not block writes to other runs", () =>
      Effect.gen(function*() {
        const { bad, commit, good, sql, store } = yield* two
        yield* sql`UPDATE run_values SET grants = '7' WHERE run_id = ${bad.runId}`
        const written = yield* store.write([
          { _tag: "Admit", run: { ...bad, runId: `${bad.runId}-attached` }, events: [] },
          { _tag: "Admit", run: makeRun({ tenant: bad.tenant, threadId: "t" }), events: [], alone: true },
          { ...commit, runId: good.runId, from: ["suspended"] }
        ])
        assert.deepStrictEqual(written.map((one) => one._tag), ["Refused", "Refused", "Committed"])
      }))

    it.effect("does not block writes to other runs when it has the key of a new row", () =>
      Effect.gen(function*() {
        const { bad, commit, good, sql, store } = yield* two
        const fresh = makeRun({ tenant: bad.tenant })
        yield* sql`
          INSERT INTO run_events (run_id, last_seq, first_seq, attempt, ts, body)
          SELECT run_id, 3, 3, attempt, ts, body FROM run_events WHERE run_id = ${bad.runId} AND last_seq = 2`
        yield* sql`
          INSERT INTO run_values (run_id, grants, payload)
          SELECT ${fresh.runId}, grants, payload FROM run_values WHERE run_id = ${bad.runId}`
        const written = yield* store.write([
          { _tag: "Admit", run: fresh, events: [] },
          commit,
          { ...commit, runId: good.runId, from: ["suspended"] }
        ])
        assert.deepStrictEqual(written.map((one) => one._tag), ["Refused", "Refused", "Committed"])
        assert.strictEqual((yield* store.get(bad.runId))?.seq, 2)
        assert.isUndefined(yield* store.get(fresh.runId))
      }))
  })
