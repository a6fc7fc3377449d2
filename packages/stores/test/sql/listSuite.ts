// Lists read an index: 100,000 ended runs cost them nothing. `listSuite(layer)` in a test file of a store with SQL.
import { assert, layer } from "@effect/vitest"
import { filterFields } from "@fastagentic/core/run/RunRecord"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Effect, type Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { admit, commit } from "../writes.ts"

/** Ended runs of a tenant and owner, all newer than any other run, so that a scan would meet them first. */
const fill = Effect.fnUntraced(function*(tenant: string, owner: string) {
  const sql = yield* SqlClient
  yield* sql`
    INSERT INTO runs (run_id, tenant, owner, kind, agent, state, attempt, seq, emitted, durable, trace_id, fingerprint,
      created_at, updated_at, finished_at, compacted)
    WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 100000)
    SELECT 'z' || number, ${tenant}, ${owner}, 'agent', 'support', 'completed', 1, 0, 0, 1, 't', 'f', 1, number, number, -1 FROM numbers`
  yield* sql`INSERT INTO run_values (run_id, grants, payload)
    SELECT run_id, '{"scopes":[],"roles":[],"claims":{}}', '{}' FROM runs WHERE tenant = ${tenant} AND run_id LIKE 'z%'`
})

/** The time of the fastest of some attempts, so that a busy machine does not matter. */
const fastest = Effect.fnUntraced(function*<A, E>(effect: Effect.Effect<A, E>) {
  let best = Infinity
  for (let attempt = 0; attempt < 7; attempt++) {
    const begin = performance.now()
    yield* effect
    best = Math.min(best, performance.now() - begin)
  }
  return best
})

export const listSuite = <E>(store: Layer.Layer<RunStore | SqlClient, E>, within = 12): void => {
  layer(store, { excludeTestServices: true, timeout: "120 seconds" })("beside 100,000 ended runs", (it) => {
    it.effect("every list and the pending interrupts take no longer", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const { owner, tenant } = makeRun()
        const target = makeRun({
          tenant,
          kind: "tool",
          agent: "refund",
          state: "suspended",
          waitsFor: "interrupt",
          threadId: "t",
          parentRunId: "p"
        })
        const failed = makeRun({ tenant, state: "failed", finishedAt: 1 })
        const interrupt = {
          id: "i",
          runId: target.runId,
          name: "n",
          kind: "approval",
          createdAt: 1,
          state: "open",
          approvers: { scopes: ["refunds"], notRequester: true }
        } as const
        yield* store.write([admit(target), admit(failed), commit(target, { from: ["suspended"], open: [interrupt] })])
        yield* fill(tenant, owner)

        const queries = [
          ...filterFields.map((field) => ({ [field]: target[field] })),
          { state: "failed" },
          { state: "suspended", agent: "refund" },
          { kind: "agent", state: "failed" }
        ]
        for (const query of queries) {
          for (const whose of [{}, { owner }]) {
            const asked = { tenant, ...whose, ...query, limit: 50 }
            const found = yield* store.summaries(asked)
            assert.deepStrictEqual(found.length, 1, JSON.stringify(asked))
            assert.isBelow(yield* fastest(store.summaries(asked)), within, JSON.stringify(asked))
            assert.isBelow(yield* fastest(store.list(asked)), within, JSON.stringify(asked))
          }
        }
        const old = { tenant, finishedBefore: 2, limit: 5, dryRun: true } as const
        const removed = store.remove({ ...old, states: ["failed"] })
        assert.deepStrictEqual((yield* removed).map(({ runId }) => runId), [failed.runId])
        assert.isBelow(yield* fastest(removed), within, "remove")
        assert.isBelow(yield* fastest(store.compact(old)), within, "compact")
        const recent = [
          {},
          { kind: "agent" },
          { kind: "agent", agent: "support" },
          { kind: "agent", phase: "completed", before: { changedAt: 500, runId: "z500" } },
          { phase: "failed" },
          { phase: "waiting" },
          { threadId: "t" },
          { since: 99_990 }
        ] as const
        for (const query of recent) {
          for (const whose of [{}, { owner }]) {
            const asked = { tenant, ...whose, ...query, limit: 50 }
            assert.isNotEmpty((yield* store.recent(asked)).runs, JSON.stringify(asked))
            assert.isBelow(yield* fastest(store.recent(asked)), within, JSON.stringify(asked))
          }
        }
        const pending = { tenant, decides: () => true, requester: "bob", limit: 50 }
        assert.deepStrictEqual(yield* store.pending(pending), [target.runId])
        assert.isBelow(yield* fastest(store.pending(pending)), within)
        assert.isBelow(yield* fastest(store.summaries({ tenant, limit: 50 })), within * 2)
      }), 120_000)
  })
}
