// Lists of runs, as every run store keeps them. RunStoreContract.ts calls it.
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { filterFields, phaseOf, type RunRecord } from "../../../../run/RunRecord.ts"
import {
  newestFirst,
  type Query,
  type Recent,
  type RecentQuery,
  RunStore,
  type ScanQuery
} from "../../../../store/RunStore.ts"
import { admit, commit, ids, makeComplete, makeRun, nextId, options, started, tokens } from "./samples.ts"

export const listsSuite = (store: Layer.Layer<RunStore, unknown>) => {
  layer(store, options)("list", (it) => {
    it.effect("newest first in pages, over runs of the same time", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const { tenant } = makeRun()
        const runs: Array<RunRecord> = []
        for (let index = 0; index < 25; index++) {
          runs.push(makeRun({ tenant }))
          yield* store.write([admit(makeRun()), ...runs.slice(-1).map((run) => admit(run))])
        }
        const expected = ids(runs).reverse()
        for (const limit of [1, 7, 25, 100]) {
          const seen: Array<string> = []
          let page = yield* store.list({ tenant, limit })
          while (page.length > 0) {
            assert.isAtMost(page.length, limit)
            seen.push(...ids(page))
            page = yield* store.list({ tenant, limit, before: seen[seen.length - 1] ?? "" })
          }
          assert.deepStrictEqual(seen, expected)
        }
      }))

    it.effect("by the last change in pages without gap, with the number of all", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const { tenant } = makeRun()
        const runs = Array.from({ length: 9 }, () => makeRun({ tenant }))
        yield* store.write(runs.map((run) => admit(run)))
        // Three at one time, and the oldest run changes last.
        const moved = runs.map((run, index) => ({ run, ts: started + 10 + Math.floor((8 - index) / 3) * 10 }))
        yield* store.write(moved.map(({ run, ts }) => commit(run, { ts, events: tokens(1) })))
        yield* store.write([admit(makeRun()), admit(makeRun({ tenant, owner: "x", kind: "tool" }))])
        const query = { tenant, owner: "alice", kind: "agent" } as const
        const expected = moved
          .map(({ run: { runId }, ts: changedAt }) => ({ runId, changedAt }))
          .sort(newestFirst)
        for (const limit of [1, 2, 4, 9, 20]) {
          const seen: Array<Recent> = []
          for (let more = true; more;) {
            const before = seen.at(-1)
            const page = yield* store.recent({ ...query, limit, ...(before === undefined ? {} : { before }) })
            assert.strictEqual(page.total, 9)
            seen.push(...page.runs)
            more = page.runs.length === limit
          }
          assert.deepStrictEqual(seen, expected)
        }
        const since = expected[4]?.changedAt ?? 0
        const later = yield* store.recent({ ...query, since, limit: 20 })
        assert.deepStrictEqual(later.runs, expected.filter(({ changedAt }) => changedAt >= since))
        assert.strictEqual((yield* store.recent({ tenant, limit: 20 })).total, 10)
      }))

    it.effect("by the last change, in one phase and of one thread or agent", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const { tenant } = makeRun()
        const states: ReadonlyArray<Partial<RunRecord>> = [
          { state: "queued", attempt: 0 },
          { state: "queued" },
          { state: "running" },
          { state: "suspended" },
          { state: "suspended", waitsFor: "timer" },
          { state: "suspended", waitsFor: "interrupt" },
          { state: "suspended", waitsFor: "signal" },
          { state: "suspended", waitsFor: "principal" },
          { state: "completed", finishedAt: started },
          { state: "failed", finishedAt: started, threadId: "t" },
          { state: "cancelled", finishedAt: started, agent: "refund" },
          { state: "rejected", finishedAt: started }
        ]
        const runs = states.map((state) => makeRun({ tenant, ...state }))
        yield* store.write(runs.map((run) => admit(run)))
        for (
          const phase of ["submitted", "working", "waiting", "completed", "failed", "cancelled", "rejected"] as const
        ) {
          const expected = ids(runs.filter((run) => phaseOf(run) === phase)).reverse()
          const page = yield* store.recent({ tenant, phase, limit: 20 })
          assert.deepStrictEqual([ids(page.runs), page.total], [expected, expected.length], phase)
        }
        assert.deepStrictEqual(
          ids((yield* store.recent({ tenant, threadId: "t", limit: 2 })).runs),
          ids(runs.slice(9, 10))
        )
        const refunds = yield* store.recent({ tenant, agent: "refund", limit: 2 })
        assert.deepStrictEqual(ids(refunds.runs), ids(runs.slice(10, 11)))
        assert.deepStrictEqual(yield* store.recent({ tenant: "none", limit: 2 }), { runs: [], total: 0 })
      }))

    it.effect("by the last change in one order of those that have ended and those that have not", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const { tenant } = makeRun()
        const runs = Array.from({ length: 12 }, (_, index) =>
          makeRun({
            tenant,
            owner: index % 4 === 3 ? "bob" : "alice",
            agent: index % 3 === 0 ? "refund" : "support",
            kind: index === 5 ? "tool" : "agent"
          }))
        yield* store.write(runs.map((run) => admit(run)))
        // Two at one time, the oldest run last; every second one ends.
        const changed = runs.map((run, index) => ({ run, at: started + 10 + Math.floor((11 - index) / 2) * 10 }))
        const final = ["completed", "failed", "cancelled", "rejected"] as const
        yield* store.write(changed.map(({ at, run }, index) => {
          const state = final[(index / 2) % 4]
          const set = state === undefined ? {} : { state, finishedAt: at }
          return commit(run, { ts: at, events: tokens(1), set })
        }))
        const queries = [
          {},
          { owner: "alice" },
          { owner: "alice", kind: "agent" },
          { agent: "refund" },
          { owner: "alice", agent: "support", kind: "agent" },
          { phase: "working" },
          { owner: "alice", phase: "completed" },
          { since: started + 40 }
        ] as const
        for (const query of queries) {
          const { agent, kind, owner, phase, since = 0 } = { ...none, ...query }
          const expected = changed
            .filter(({ at, run }, index) => {
              const is = final[(index / 2) % 4] ?? "working"
              return (agent ?? run.agent) === run.agent && (kind ?? run.kind) === run.kind &&
                (owner ?? run.owner) === run.owner && (phase ?? is) === is && at >= since
            })
            .map(({ at, run }) => ({ runId: run.runId, changedAt: at }))
            .sort(newestFirst)
          for (const limit of [1, 2, 5, 20]) {
            const seen: Array<Recent> = []
            for (let more = true; more;) {
              const before = seen.at(-1)
              const page = yield* store.recent({ tenant, ...query, limit, ...(before === undefined ? {} : { before }) })
              assert.strictEqual(page.total, expected.length)
              seen.push(...page.runs)
              more = page.runs.length === limit
            }
            assert.deepStrictEqual(seen, expected, JSON.stringify(query))
          }
        }
        const ended = changed.filter((_, index) => index % 2 === 0)
        yield* store.remove({ states: [...final], finishedBefore: started + 1_000, tenant, limit: 100 })
        const left = yield* store.recent({ tenant, limit: 20 })
        assert.strictEqual(left.total, 12 - ended.length)
        assert.strictEqual(left.runs.length, 12 - ended.length)
      }))

    it.effect("filters by everything at once", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const { tenant } = makeRun()
        const target = makeRun({ tenant, owner: "o", agent: "a", kind: "tool", state: "suspended", threadId: "t" })
        const others = [
          { ...target, owner: "x" },
          { ...target, agent: "x" },
          { ...target, kind: "agent" } as const,
          { ...target, state: "running" } as const,
          { ...target, threadId: "x" }
        ].map((run) => ({ ...run, runId: nextId() }))
        yield* store.write([target, ...others].map((run) => admit(run)))
        const filter = { owner: "o", agent: "a", kind: "tool", state: "suspended", threadId: "t" } as const
        assert.deepStrictEqual(yield* store.list({ tenant, ...filter, limit: 10 }), [target])
        for (const [index, field] of (["owner", "agent", "kind", "state", "threadId"] as const).entries()) {
          const { [field]: _, ...rest } = filter
          const found = yield* store.list({ tenant, ...rest, limit: 10 })
          assert.deepStrictEqual(ids(found), [others[index]?.runId, target.runId])
          const only: Query = { tenant, [field]: target[field], limit: 10 }
          assert.strictEqual((yield* store.list(only)).length, 5, field)
        }
      }))

    it.effect("shows a run as it is now", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeRun()
        yield* store.write([admit(run), commit(run, { events: tokens(2), set: { state: "completed", output: 1 } })])
        assert.deepStrictEqual(yield* store.list({ tenant: run.tenant, state: "running", limit: 5 }), [])
        const listed = yield* store.list({ tenant: run.tenant, state: "completed", limit: 5 })
        assert.deepStrictEqual(listed, [{ ...run, seq: 2, state: "completed", output: 1, updatedAt: started + 1 }])
      }))

    it.effect("never mixes tenants", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const mine = makeRun()
        const theirs = makeRun({ threadId: "t" })
        const newest = makeRun()
        yield* store.write([admit(mine), admit(theirs), admit(newest)])
        const { tenant } = mine
        assert.deepStrictEqual(ids(yield* store.list({ tenant, limit: 10 })), [mine.runId])
        assert.deepStrictEqual(ids(yield* store.list({ tenant, limit: 10, before: newest.runId })), [mine.runId])
        assert.deepStrictEqual(yield* store.list({ tenant, limit: 10, threadId: "t" }), [])
        assert.deepStrictEqual(yield* store.list({ tenant: "", limit: 10 }), [])
        assert.deepStrictEqual(yield* store.list({ tenant: `${tenant}%`, limit: 10 }), [])
      }))
  })

  layer(store, options)("summaries", (it) => {
    it.effect("have every field but those that may be large", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const run = makeComplete()
        yield* store.write([admit(run)])
        const { output: _output, payload: _payload, ...summary } = run
        const { runId, tenant } = run
        assert.deepStrictEqual(yield* store.summaries({ tenant, limit: 5 }), [summary])
        assert.deepStrictEqual(yield* store.summaries({ tenant, runIds: [runId, "none"], limit: 5 }), [summary])
        assert.deepStrictEqual(yield* store.summaries({ tenant: "another", runIds: [runId], limit: 5 }), [])
        assert.deepStrictEqual(yield* store.summaries({ tenant, owner: "x", runIds: [runId], limit: 5 }), [])
        assert.deepStrictEqual(yield* store.summaries({ tenant, runIds: [], limit: 5 }), [])
      }))

    it.effect("are listed by each filter, for a tenant and for one owner", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const { tenant } = makeRun()
        const target = makeRun({
          tenant,
          owner: "o",
          agent: "a",
          kind: "tool",
          state: "suspended",
          waitsFor: "timer",
          threadId: "t",
          parentRunId: "p"
        })
        const others = Array.from({ length: 4 }, () => makeRun({ tenant, owner: "o", state: "completed" }))
        yield* store.write([target, ...others].map((run) => admit(run)))
        for (const field of filterFields) {
          for (const owner of [{}, { owner: "o" }]) {
            const query = { tenant, ...owner, [field]: target[field], limit: 5 }
            assert.deepStrictEqual(ids(yield* store.summaries(query)), [target.runId], field)
            assert.deepStrictEqual(yield* store.summaries({ ...query, [field]: "none" }), [], field)
          }
        }
      }))
  })

  layer(store, options)("unfinished", (it) => {
    it.effect("are running runs of all tenants, oldest first", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const running = makeRun({ idempotencyKey: "key", payload: { a: 1 } })
        const finished = makeRun()
        const queued = makeRun({ state: "queued" })
        const suspended = makeRun({ state: "suspended" })
        const resumed = makeRun({ state: "suspended" })
        yield* store.write([resumed, finished, queued, suspended, running].map((run) => admit(run)))
        yield* store.write([
          commit(finished, { set: { state: "completed" } }),
          commit(resumed, { from: ["suspended"], set: { state: "running" } })
        ])
        const mine = new Set(ids([running, finished, queued, suspended, resumed]))
        const found = (yield* store.unfinished).filter((run) => mine.has(run.runId))
        assert.deepStrictEqual(found, [running, { ...resumed, state: "running", updatedAt: started + 1 }])
      }))
  })

  layer(store, options)("scan", (it) => {
    it.effect("finds runs of all tenants by state, newest first, without those of some definitions", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const agent = `agent-${nextId()}`
        const make = (overrides: Partial<RunRecord>) => makeRun({ agent, state: "suspended", ...overrides })
        const known = make({ fingerprint: "known" })
        const kept = make({ fingerprint: "known", waitsFor: "migration" })
        const old = make({ fingerprint: "old@1", waitsFor: "timer", wakeAt: 5 })
        const queued = make({ fingerprint: "old@1", state: "queued" })
        const other = makeRun({ state: "suspended", fingerprint: "old@1" })
        yield* store.write([known, kept, old, queued, other].map((run) => admit(run)))
        const scan = (query: Partial<ScanQuery>) =>
          Effect.map(store.scan({ states: ["suspended"], agent, limit: 10, ...query }), ids)
        assert.deepStrictEqual(yield* scan({}), ids([old, kept, known]))
        assert.deepStrictEqual(yield* scan({ except: ["known", "x"] }), ids([old, kept]))
        assert.deepStrictEqual(yield* scan({ except: ["old@1"], limit: 1 }), ids([kept]))
        assert.deepStrictEqual(yield* scan({ before: kept.runId }), ids([known]))
        assert.deepStrictEqual(yield* scan({ states: ["queued", "suspended"], limit: 2 }), ids([queued, old]))
        assert.deepStrictEqual(yield* scan({ states: [] }), [])
        const { tenant } = kept
        assert.deepStrictEqual(ids(yield* store.list({ tenant, waitsFor: "migration", limit: 10 })), [kept.runId])
        assert.deepStrictEqual(yield* store.list({ tenant, waitsFor: "timer", limit: 10 }), [])
      }))
  })
}

/** The filters of a list by the last change, none of them set. */
const none: Pick<RecentQuery, "agent" | "kind" | "owner" | "phase" | "since"> = {}
