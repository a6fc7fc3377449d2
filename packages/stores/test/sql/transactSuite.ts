/**
 * Tests that `transact` stores an effect and its commit together: `transactSuite(layer)` in a test file of a store with
 * SQL.
 */
import { assert, layer } from "@effect/vitest"
import { type Commit, RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Deferred, Effect, Exit, Fiber, type Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { token } from "../writes.ts"

const started = Effect.gen(function*() {
  const store = yield* RunStore
  const sql = yield* SqlClient
  const run = makeRun()
  const { runId } = run
  yield* store.write([{ _tag: "Admit", run, events: [token("a")] }])
  const commit: Commit = {
    _tag: "Commit",
    runId,
    attempt: 1,
    from: ["running"],
    ts: run.createdAt,
    events: [token("b")],
    steps: [{ name: "pay", value: 12 }]
  }
  const pay = Effect.gen(function*() {
    const own = yield* SqlClient
    yield* own`INSERT INTO payments (run_id, amount) VALUES (${runId}, 12)`
    return 12
  })
  const state = Effect.all({
    paid: Effect.map(sql`SELECT amount FROM payments WHERE run_id = ${runId}`, (rows) => rows.length),
    steps: Effect.map(store.steps(runId), (steps) => steps.length),
    events: Effect.map(store.events(runId, 0, 100), (events) => events.length),
    seq: Effect.map(store.get(runId), (run) => run?.seq)
  })
  const { transact } = store
  if (transact === undefined) return assert.fail("the store has no transactions")
  return { transact, store, run, commit, pay, state }
})

const nothing = { paid: 0, steps: 0, events: 1, seq: 1 }
const both = { paid: 1, steps: 1, events: 2, seq: 2 }

export const transactSuite = (store: Layer.Layer<RunStore | SqlClient, unknown>) =>
  layer(store, { excludeTestServices: true, timeout: "60 seconds" })("an effect and its commit", (it) => {
    it.effect("have a table to write to", () =>
      SqlClient.use((sql) =>
        sql`CREATE TABLE payments (run_id text NOT NULL, amount integer NOT NULL CHECK (amount > 0))`.unprepared
      ))

    it.effect("are both stored", () =>
      Effect.gen(function*() {
        const { commit, pay, state, transact } = yield* started
        const [value, written] = yield* transact(pay, (value) => ({ ...commit, events: [token(`${value}`)] }))
        assert.strictEqual(value, 12)
        assert.containSubset(written, { _tag: "Committed", events: [{ seq: 2, data: { delta: "12" } }] })
        assert.deepStrictEqual(yield* state, both)
      }))

    it.effect("are both rolled back when the effect fails, with its own error", () =>
      Effect.gen(function*() {
        const { commit, pay, state, transact } = yield* started
        const error = yield* Effect.flip(transact(Effect.andThen(pay, Effect.fail("no money" as const)), () => commit))
        assert.strictEqual(error, "no money")
        const broken = SqlClient.use((sql) => sql`INSERT INTO payments (run_id, amount) VALUES ('x', -1)`)
        const own = yield* Effect.flip(transact(Effect.andThen(pay, broken), () => commit))
        assert.deepInclude(own, { _tag: "SqlError" })
        assert.deepStrictEqual(yield* state, nothing)
      }))

    it.effect("are both rolled back when the commit is refused", () =>
      Effect.gen(function*() {
        const { commit, pay, state, transact } = yield* started
        const refused = [
          { ...commit, attempt: 2 },
          { ...commit, from: ["queued"] },
          { ...commit, resolve: { id: "unknown", resolution: { decision: "approve", by: "bob", at: 1 } } },
          { ...commit, steps: [{ name: "s", value: JSON.parse("null", () => 1n) }] },
          { ...commit, within: { agent: 0 } }
        ] as const
        for (const one of refused) {
          assert.deepStrictEqual(yield* transact(pay, () => one), [12, { _tag: "Refused" }])
          assert.deepStrictEqual(yield* state, nothing)
        }
      }))

    it.effect("are both rolled back after a defect", () =>
      Effect.gen(function*() {
        const { commit, pay, state, transact } = yield* started
        const inBody = yield* Effect.exit(transact(Effect.andThen(pay, Effect.die("defect")), () => commit))
        assert.deepStrictEqual(inBody, Exit.die("defect"))
        const inCommit = yield* Effect.exit(transact(pay, (): Commit => {
          throw new Error("defect")
        }))
        assert.isTrue(Exit.hasDies(inCommit))
        assert.deepStrictEqual(yield* state, nothing)
      }))

    it.effect("are both rolled back when they are interrupted", () =>
      Effect.gen(function*() {
        const { commit, pay, state, transact } = yield* started
        const paid = yield* Deferred.make<void>()
        const body = Effect.andThen(pay, Effect.andThen(Deferred.succeed(paid, undefined), Effect.never))
        const fiber = yield* Effect.forkChild(transact(body, () => commit))
        yield* Deferred.await(paid)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* state, nothing)
      }))

    it.effect("are atomic when many run on one run", () =>
      Effect.gen(function*() {
        const { commit, pay, state, transact } = yield* started
        const answers = yield* Effect.forEach(Array.from({ length: 20 }), (_, index) =>
          transact(
            index % 2 === 0 ? pay : Effect.andThen(pay, Effect.fail("odd")),
            () => ({ ...commit, steps: [{ name: `pay ${index}`, value: index }] })
          ).pipe(Effect.exit), { concurrency: "unbounded" })
        assert.strictEqual(answers.filter(Exit.isSuccess).length, 10)
        assert.deepStrictEqual(yield* state, { paid: 10, steps: 10, events: 11, seq: 11 })
      }))
  })
