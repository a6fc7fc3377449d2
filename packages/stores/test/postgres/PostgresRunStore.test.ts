import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun, suite } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Context, Effect, Fiber, Layer, Redacted } from "effect"
import * as TestClock from "effect/testing/TestClock"
import { Postgres, PostgresRunStore } from "../../src/postgres/index.ts"
import { damagedSuite } from "../sql/damagedSuite.ts"
import { listSuite } from "../sql/listSuite.ts"
import { sideEffectSuite } from "../sql/sideEffectSuite.ts"
import { transactSuite } from "../sql/transactSuite.ts"
import { admit, commit, ids, tagsOf, token, wholeJournal } from "../writes.ts"
import { database, describeWithServer, lockAwaited } from "./server.ts"

type Store = RunStore["Service"]

const Stored = Layer.unwrap(Effect.map(database, (url) => Postgres.layer({ url })))

const WithSql = Layer.unwrap(
  Effect.map(
    database,
    (url) => Layer.provideMerge(PostgresRunStore.layerNoClient(), PgClient.layer({ url, maxConnections: 4 }))
  )
)

/** A node of a cluster until the scope closes, with its own connections and name. */
const makeNode = Effect.fnUntraced(function*(url: Redacted.Redacted, options: PostgresRunStore.Options = {}) {
  const client = PgClient.layer({ url, maxConnections: 4 })
  const layer = Layer.provideMerge(PostgresRunStore.layerNoClient(options), client)
  const context = yield* Layer.build(Layer.fresh(layer))
  return { store: Context.get(context, RunStore), sql: Context.get(context, PgClient.PgClient) }
})

const oneNode = Effect.flatMap(database, (url) => makeNode(url))

/** Four nodes of one database; `at` picks one by index. */
const cluster = Effect.gen(function*() {
  const url = yield* database
  const first = yield* makeNode(url)
  const nodes = [first, ...yield* Effect.all([makeNode(url), makeNode(url), makeNode(url)])]
  return { first, nodes, at: (index: number) => (nodes[index % nodes.length] ?? first).store }
})

const inParallel = { concurrency: "unbounded" } as const

const times = (count: number) => Array.from({ length: count }, (_, index) => index)

const shuffled = <A>(values: ReadonlyArray<A>) =>
  values.map((value) => [Math.random(), value] as const).sort(([a], [b]) => a - b).map(([, value]) => value)

describeWithServer("PostgresRunStore", () => {
  suite("in a database", Stored)
  damagedSuite(WithSql)
  transactSuite(WithSql)
  sideEffectSuite(WithSql)
  listSuite(WithSql)

  it.live("keeps everything over a close and a new start", () =>
    Effect.gen(function*() {
      const url = yield* database
      const run = makeRun({ idempotencyKey: "key" })
      const change = commit(run, { events: [token("b"), token("c")], steps: [{ name: "plan", value: 1 }] })
      const read = (store: Store) =>
        Effect.all([store.get(run.runId), store.events(run.runId, 0, 10), store.steps(run.runId), store.unfinished])
      const before = yield* Effect.scoped(
        Effect.flatMap(
          makeNode(url),
          ({ store }) => Effect.andThen(store.write([admit(run, "a"), change]), read(store))
        )
      )
      assert.strictEqual(before[1].length, 3)
      const { store } = yield* makeNode(url)
      assert.deepStrictEqual(yield* read(store), before)
      const written = yield* store.write([admit({ ...run, runId: `${run.runId}-again` }), change])
      assert.deepStrictEqual(tagsOf(written), ["Attached", "Committed"])
      assert.strictEqual((yield* store.get(run.runId))?.seq, 5)
    }))

  it.live("reads and writes by index", () =>
    Effect.gen(function*() {
      const url = yield* database
      const { tenant } = makeRun()
      const interrupt = { id: "i1", runId: "", name: "n", kind: "input", createdAt: 1, state: "open" } as const
      const use = Effect.scoped(Effect.gen(function*() {
        const { store } = yield* makeNode(url)
        for (const index of times(30)) {
          const runs = times(16).map(() => makeRun({ tenant, idempotencyKey: `key ${index}`, threadId: "t" }))
          yield* store.write(runs.map((run) => admit({ ...run, tenant: run.runId }, "a")))
          yield* store.write(runs.slice(0, 2).map((run) => admit({ ...run, runId: `${run.runId}-${index}` }, "a")))
          for (const count of [1, 16]) {
            const some = runs.slice(0, count)
            yield* store.write(some.map((run) => commit(run, { events: [token("b")] })))
            yield* store.write(some.map((run) =>
              commit(run, {
                events: [token("b")],
                steps: [{ name: "s", value: 1 }],
                open: [{ ...interrupt, runId: run.runId }],
                set: { usage: { inputTokens: 1, outputTokens: 1 }, output: 1 }
              })
            ))
            const resolution = { decision: "approve", by: "bob", at: 1 } as const
            yield* store.write(some.map((run) => commit(run, { resolve: { id: "i1", resolution } })))
          }
          for (const { runId } of runs.slice(0, 1)) {
            yield* Effect.all([store.get(runId), store.steps(runId), store.interrupts(runId)])
            yield* store.events(runId, 1, 1)
            yield* store.list({ tenant, limit: 5 })
            yield* store.list({ tenant, owner: "alice", before: runId, limit: 5 })
            yield* store.list({ tenant, threadId: "t", limit: 5 })
            yield* store.list({ tenant, parentRunId: "p", limit: 5 })
            yield* store.write(
              runs.slice(0, 2).map((run) =>
                commit(run, { within: { agent: 9_999, tenant: 9_999, thread: true }, events: [token("b")] })
              )
            )
            yield* store.write([{ ...admit(makeRun({ tenant, threadId: "t" })), alone: true }])
            const within = { agent: 9_999, tenant: 9_999, thread: true }
            yield* store.due({ now: 1, agents: ["support"], limit: 5, within })
          }
        }
      }))
      // The statistics of a connection are counted when it closes.
      const counted = Effect.scoped(Effect.flatMap(makeNode(url), ({ sql }) =>
        sql<{ seq_scan: bigint }>`SELECT relname, seq_scan FROM pg_stat_user_tables WHERE seq_scan > 0
          AND relname NOT IN ('migrations', 'nodes') ORDER BY relname`))
      yield* Effect.scoped(makeNode(url))
      yield* Effect.sleep("200 millis")
      const before = yield* counted
      yield* use
      yield* Effect.sleep("200 millis")
      assert.deepStrictEqual(yield* counted, before)
    }))

  it.live("a write that cannot be stored is refused alone", () =>
    Effect.gen(function*() {
      const { store } = yield* oneNode
      const run = makeRun({ idempotencyKey: "key" })
      const other = makeRun({ tenant: run.tenant })
      const circular: { self?: unknown } = {}
      circular.self = circular
      const step = (name: string, value: unknown) =>
        commit(run, { events: [token("a")], steps: [{ name, value: JSON.parse("null", () => value) }] })
      const written = yield* store.write([
        admit(run),
        step("circular", circular),
        step("big", 1n),
        step("a character that text cannot have: \0", 1),
        admit(makeRun({ tenant: run.tenant, idempotencyKey: "key" })),
        step(`longer than an index takes, and random: ${shuffled([..."0123456789abcdef".repeat(4_000)]).join("")}`, 1),
        admit(makeRun({ tenant: "\0" })),
        admit(makeRun({ idempotencyKey: "\0" })),
        commit(run, { ts: Number.NaN }),
        step("fine", "\0"),
        admit(other),
        commit(other, { events: [token("a")] })
      ])
      const tags = ["Admitted", "Refused", "Refused", "Refused", "Attached", "Refused", "Refused", "Refused", "Refused"]
      assert.deepStrictEqual(tagsOf(written), [...tags, "Committed", "Admitted", "Committed"])
      assert.containSubset(written[4], { run: { ...run, seq: 0 } })
      assert.strictEqual((yield* wholeJournal(store, run.runId)).length, 1)
      assert.deepStrictEqual(yield* store.steps(run.runId), [{ name: "fine", value: "\0", seq: 1 }])
      assert.deepStrictEqual(tagsOf(yield* store.write([step("\0", 1)])), ["Refused"])
    }))

  it.live("a name that cannot be stored matches nothing", () =>
    Effect.gen(function*() {
      const { store } = yield* oneNode
      assert.isUndefined(yield* store.get("\0"))
      assert.deepStrictEqual(yield* store.list({ tenant: "\0", limit: 5 }), [])
      assert.deepStrictEqual(yield* store.events("\0", 0, 5), [])
      assert.deepStrictEqual(yield* store.steps("\0"), [])
      assert.deepStrictEqual(yield* store.interrupts("\0"), [])
    }))

  it.live("a batch that cannot be committed fails and stores nothing", () =>
    Effect.gen(function*() {
      const { sql, store } = yield* oneNode
      const run = makeRun()
      const other = makeRun()
      yield* store.write([admit(run, "a")])
      yield* sql`
        CREATE FUNCTION full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk is full'; END $$`.unprepared
      yield* sql`CREATE TRIGGER full_steps BEFORE INSERT ON run_steps EXECUTE FUNCTION full()`.unprepared
      const error = yield* Effect.flip(store.write([
        admit(other, "a"),
        commit(run, { events: [token("b")] }),
        commit(run, { steps: [{ name: "s", value: 1 }] })
      ]))
      assert.containSubset(error, { _tag: "StoreUnavailable", operation: "write" })
      assert.isUndefined(yield* store.get(other.runId))
      assert.strictEqual((yield* wholeJournal(store, run.runId)).length, 1)
      const written = yield* store.write([commit(run, { events: [token("b")] })])
      assert.containSubset(written, [{ _tag: "Committed", events: [{ seq: 2 }] }])
    }))

  it.effect("is StoreUnavailable after 30 seconds without an answer", () =>
    Effect.gen(function*() {
      const url = yield* database
      const { store } = yield* makeNode(url)
      const { sql } = yield* makeNode(url)
      const run = makeRun()
      yield* store.write([admit(run)])
      const change = commit(run, { events: [token("a")] })
      for (const batch of [[change], [change, change]]) {
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`LOCK TABLE runs`
          // The writer of a node cannot be interrupted.
          const writing = yield* Effect.forkDetach(Effect.uninterruptible(Effect.flip(store.write(batch))))
          yield* lockAwaited(sql)
          yield* TestClock.adjust("30 seconds")
          assert.containSubset(yield* Fiber.join(writing), { _tag: "StoreUnavailable" })
        }))
        assert.strictEqual((yield* wholeJournal(store, run.runId)).length, 0)
      }
      assert.deepStrictEqual(tagsOf(yield* store.write([change])), ["Committed"])
    }))

  it.live("a key whose run was removed is free", () =>
    Effect.gen(function*() {
      const { sql, store } = yield* oneNode
      const gone = makeRun({ idempotencyKey: "key" })
      yield* store.write([admit(gone)])
      yield* sql`DELETE FROM runs WHERE run_id = ${gone.runId}`
      yield* sql`DELETE FROM run_values WHERE run_id = ${gone.runId}`
      const next = makeRun({ tenant: gone.tenant, idempotencyKey: "key" })
      const last = makeRun({ tenant: gone.tenant, idempotencyKey: "key" })
      assert.deepStrictEqual(tagsOf(yield* store.write([admit(next, "a"), admit(last)])), ["Admitted", "Attached"])
      assert.containSubset(yield* store.write([admit(last)]), [{
        _tag: "Attached",
        run: { runId: next.runId, seq: 1 }
      }])
    }))
})

describeWithServer("nodes of a cluster", () => {
  it.live("admit one of 100 with one key", () =>
    Effect.gen(function*() {
      const { at, nodes } = yield* cluster
      const { tenant } = makeRun()
      for (const round of times(5)) {
        const racers = times(100).map(() => makeRun({ tenant, idempotencyKey: `key ${round}` }))
        const race = (run: RunRecord, index: number) => at(index).write([admit(run, "a")])
        const answers = (yield* Effect.forEach(racers, race, inParallel)).flat()
        const admitted = answers.filter((one) => one._tag === "Admitted")
        const attached = answers.filter((one) => one._tag === "Attached")
        assert.deepStrictEqual([admitted.length, attached.length], [1, 99])
        assert.isTrue(attached.every(({ run }) => run.runId === admitted[0]?.run.runId))
      }
      const listed = yield* Effect.forEach(nodes, ({ store }) => store.list({ tenant, limit: 1_000 }))
      assert.deepStrictEqual(listed.map((runs) => runs.length), [5, 5, 5, 5])
    }))

  it.live("admit a run id once with any keys", () =>
    Effect.gen(function*() {
      const { at, nodes } = yield* cluster
      for (const _ of times(20)) {
        const { runId, tenant } = makeRun()
        const keyed = (index: number) => ({ tenant, idempotencyKey: `key ${index}` })
        const race = (_: unknown, index: number) => at(index).write([admit(makeRun({ runId, ...keyed(index) }), "a")])
        const answers = (yield* Effect.forEach(nodes, race, inParallel)).flat()
        assert.deepStrictEqual(tagsOf(answers).sort(), ["Admitted", "Refused", "Refused", "Refused"])
        // The keys of refused admissions are free.
        const others = yield* at(0).write(times(4).map((index) => admit(makeRun(keyed(index)))))
        assert.deepStrictEqual(tagsOf(others).sort(), ["Admitted", "Admitted", "Admitted", "Attached"])
      }
    }))

  it.live("commit one of 100 claims of an attempt", () =>
    Effect.gen(function*() {
      const { at, nodes } = yield* cluster
      const run = makeRun({ state: "queued" })
      yield* at(0).write([admit(run)])
      const claimed = { attempt: 2, state: "running" } as const
      const claim = commit(run, { from: ["queued", "running"], events: [token("a")], set: claimed })
      const answers = (yield* Effect.forEach(times(100), (index) => at(index).write([claim]), inParallel)).flat()
      assert.strictEqual(tagsOf(answers).filter((tag) => tag === "Committed").length, 1)
      for (const { store } of nodes) assert.strictEqual((yield* wholeJournal(store, run.runId)).length, 1)
    }))

  it.live("commit one of 100 decisions", () =>
    Effect.gen(function*() {
      const { at, nodes } = yield* cluster
      const run = makeRun()
      const { runId } = run
      const interrupt = { id: "i1", runId, name: "n", kind: "input", createdAt: 1, state: "open" } as const
      yield* at(0).write([admit(run), commit(run, { open: [interrupt], set: { state: "suspended" } })])
      // The state does not change, so that only the interrupt decides the winner.
      const decide = (index: number) => {
        const by = `user ${index}`
        const resolve = { id: "i1", resolution: { decision: "approve", by, at: 1 } } as const
        return at(index).write([commit(run, { from: ["suspended"], events: [token(by)], resolve })])
      }
      const answers = (yield* Effect.forEach(times(100), decide, inParallel)).flat()
      assert.strictEqual(tagsOf(answers).filter((tag) => tag === "Committed").length, 1)
      for (const { store } of nodes) {
        const [event] = yield* wholeJournal(store, runId)
        const [resolved] = yield* store.interrupts(runId)
        assert.deepStrictEqual(event?.data, { delta: resolved?.resolution?.by ?? "nobody" })
      }
    }))

  it.live("never deadlock", () =>
    Effect.gen(function*() {
      const { at, first: { sql, store } } = yield* cluster
      const { tenant } = makeRun()
      const runs = times(12).map(() => makeRun({ tenant }))
      yield* store.write(runs.map((run) => admit(run)))
      const batchOf = (round: number) => {
        const steps = [{ name: `step ${round}`, value: 1 }]
        const commits = shuffled([...runs, ...runs]).slice(0, 16)
          .map((run) => commit(run, { events: [token("a")], steps }))
        const key = () => `key ${round} ${Math.floor(Math.random() * 3)}`
        const admits = times(4).map(() => admit(makeRun({ tenant, idempotencyKey: key() })))
        return shuffled(round % 3 === 0 ? admits : round % 3 === 1 ? commits : [...commits, ...admits])
      }
      const writeAll = Effect.fnUntraced(function*(index: number) {
        let committed = 0
        for (const round of times(30)) {
          const tags = tagsOf(yield* at(index).write(batchOf(round)))
          assert.notInclude(tags, "Refused")
          committed += tags.filter((tag) => tag === "Committed").length
        }
        return committed
      })
      const committed = yield* Effect.forEach(times(8), writeAll, inParallel)
      const journals = yield* Effect.forEach(runs, (run) => wholeJournal(store, run.runId))
      assert.strictEqual(journals.flat().length, committed.reduce((sum, count) => sum + count, 0))
      const admitted = (yield* store.list({ tenant, limit: 10_000 })).filter((run) => run.idempotencyKey !== undefined)
      assert.strictEqual(new Set(admitted.map((run) => run.idempotencyKey)).size, admitted.length)
      // Connections report their statistics about once a second.
      yield* Effect.sleep("1500 millis")
      yield* store.write([commit(runs[0] ?? makeRun())])
      const counted = sql`SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()`
      assert.deepStrictEqual(yield* counted, [{ deadlocks: 0 }])
    }), 60_000)

  it.live("retry after a deadlock with another client", () =>
    Effect.gen(function*() {
      const url = yield* database
      const { store } = yield* makeNode(url)
      const { sql } = yield* makeNode(url)
      const runs = times(2).map(() => makeRun())
      yield* store.write(runs.map((run) => admit(run)))
      const lock = (run: RunRecord | undefined) => sql`SELECT 1 FROM runs WHERE run_id = ${run?.runId ?? ""} FOR UPDATE`
      const writing = yield* sql.withTransaction(Effect.gen(function*() {
        // The session that detects the deadlock first is cancelled.
        yield* sql`SET LOCAL deadlock_timeout = '1min'`.unprepared
        yield* lock(runs[1])
        const writing = yield* Effect.forkDetach(store.write(runs.map((run) => commit(run, { events: [token("a")] }))))
        yield* lockAwaited(sql)
        yield* lock(runs[0])
        return writing
      }))
      assert.deepStrictEqual(tagsOf(yield* Fiber.join(writing)), ["Committed", "Committed"])
      for (const run of runs) assert.strictEqual((yield* wholeJournal(store, run.runId)).length, 1)
    }))

  it.live("start as many runs as the limits allow", () =>
    Effect.gen(function*() {
      const { at, first: { sql, store } } = yield* cluster
      const prefix = makeRun().runId
      const [a, b] = [`${prefix}-a`, `${prefix}-b`]
      const runs = times(60).map((index) =>
        makeRun({ agent: `${prefix}-agent-${index % 2}`, tenant: index % 4 < 2 ? a : b, state: "queued", wakeAt: 1 })
      )
      yield* store.write(runs.map((run) => admit(run)))
      const within = { agent: 5, tenant: 3 }
      const start = (run: RunRecord) => commit(run, { from: ["queued"], within, set: { state: "running" } })
      // Batches of runs of both agents in any order, some together with unlimited writes.
      const other = makeRun()
      yield* store.write([admit(other)])
      const race = (index: number) => {
        const batch = shuffled(runs).slice(0, 6).map(start)
        return at(index).write(index % 2 === 0 ? batch : [...batch, commit(other, { events: [token("a")] })])
      }
      for (const _ of times(3)) {
        const written = yield* Effect.forEach(times(16), race, inParallel)
        assert.notInclude(tagsOf(written.flatMap((answers) => answers.slice(6))), "Refused")
      }
      const running = yield* sql`
        SELECT agent, count(*)::int AS total, max(count) ::int AS most FROM (
          SELECT agent, tenant, count(*) OVER (PARTITION BY agent, tenant) AS count FROM runs
          WHERE state = 'running' AND run_id IN ${sql.in(ids(runs))}
        ) AS running GROUP BY agent ORDER BY agent`
      assert.deepStrictEqual(
        running,
        times(2).map((index) => ({ agent: `${prefix}-agent-${index}`, total: 5, most: 3 }))
      )
      yield* Effect.sleep("1500 millis")
      yield* store.write([commit(other)])
      const counted = sql`SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()`
      assert.deepStrictEqual(yield* counted, [{ deadlocks: 0 }])
    }), 60_000)

  it.live("admit one of 40 runs that require an idle thread, and start one at a time", () =>
    Effect.gen(function*() {
      const { at, first: { store } } = yield* cluster
      const { tenant } = makeRun()
      for (const round of times(3)) {
        const inThread = { tenant, threadId: `thread ${round}`, state: "queued", wakeAt: 1 } as const
        const racers = times(40).map(() => makeRun(inThread))
        const race = (run: RunRecord, index: number) => at(index).write([{ ...admit(run, "a"), alone: true }])
        const answers = (yield* Effect.forEach(shuffled(racers), race, inParallel)).flat()
        const admitted = answers.flatMap((one) => one._tag === "Admitted" ? [one.run.runId] : [])
        assert.strictEqual(admitted.length, 1)
        const busy = answers.flatMap((one) => one._tag === "Busy" ? [one.run.runId] : [])
        assert.deepStrictEqual(new Set(busy), new Set(admitted))
        assert.strictEqual(busy.length, 39)
        const queued = times(5).map(() => makeRun(inThread))
        yield* store.write(queued.map((run) => admit(run)))
        const start = (run: RunRecord) =>
          commit(run, { from: ["queued"], within: { thread: true }, set: { state: "running" } })
        const all = [...racers.filter(({ runId }) => admitted.includes(runId)), ...queued]
        for (const [index, next] of all.entries()) {
          const started = yield* Effect.forEach(shuffled([...all, ...all]), (run, index) =>
            Effect.map(at(index).write([start(run)]), ([answer]) =>
              answer?._tag === "Committed" ? [run.runId] : []), inParallel)
          assert.deepStrictEqual(started.flat(), [next.runId], `${index}`)
          yield* store.write([commit(next, { set: { state: "completed", finishedAt: 1 } })])
        }
      }
    }), 60_000)

  it.live("remove each ended run once", () =>
    Effect.gen(function*() {
      const { first: { sql, store }, nodes } = yield* cluster
      const { tenant } = makeRun()
      const runs = times(60).map((index) =>
        makeRun({ tenant, state: "completed", finishedAt: index, idempotencyKey: `key ${index}` })
      )
      yield* store.write(runs.map((run) => ({ ...admit(run, "a"), steps: [{ name: "s", value: 1 }] })))
      const query = { tenant, states: ["completed"], finishedBefore: 50, limit: 7 } as const
      const removeAll = Effect.fnUntraced(function*(store: Store) {
        const removed: Array<string> = []
        for (const _ of times(20)) removed.push(...ids(yield* store.remove(query)))
        return removed
      })
      const removed = (yield* Effect.forEach(nodes, ({ store }) => removeAll(store), inParallel)).flat()
      assert.deepStrictEqual(removed.sort(), ids(runs.slice(0, 50)))
      for (const table of ["runs", "run_values", "run_events", "run_steps", "idempotency_keys"]) {
        const left = yield* sql`SELECT 1 FROM ${sql(table)} WHERE run_id IN ${sql.in(ids(runs))}`
        assert.strictEqual(left.length, 10, table)
      }
    }))

  it.live("own their runs and those without an owner", () =>
    Effect.gen(function*() {
      const url = yield* database
      const options = { lease: "1 second" } as const
      const { store: alive } = yield* makeNode(url, options)
      const run = makeRun()
      const suspended = makeRun({ state: "suspended" })
      yield* alive.write([admit(run), admit(suspended)])
      const seen = (store: Store) => Effect.map(store.unfinished, ids)
      yield* Effect.scoped(Effect.gen(function*() {
        const { store: other } = yield* makeNode(url, options)
        assert.deepStrictEqual([yield* seen(alive), yield* seen(other)], [[run.runId], []])
        // A node that claims a run owns it while it renews its lease.
        const resumed = { from: ["suspended"], set: { state: "running", attempt: 2 } } as const
        yield* other.write([commit(suspended, resumed)])
        assert.deepStrictEqual([yield* seen(alive), yield* seen(other)], [[run.runId], [suspended.runId]])
        yield* Effect.sleep("2 seconds")
        assert.deepStrictEqual([yield* seen(alive), yield* seen(other)], [[run.runId], [suspended.runId]])
      }))
      // A node that closes releases its runs at once.
      assert.deepStrictEqual(yield* seen(alive), [run.runId, suspended.runId])
      assert.deepStrictEqual(yield* Effect.map(alive.abandoned, ids), [suspended.runId])
    }))
})
