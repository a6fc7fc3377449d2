import { assert, describe, it } from "@effect/vitest"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Clock, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SqliteClient, SqliteRunStore } from "../../src/sqlite/index.ts"
import { admit, commit, ids } from "../writes.ts"

const opened = <A, E>(filename: string, use: (store: RunStore["Service"], sql: SqlClient) => Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    return yield* use(yield* RunStore, yield* SqlClient)
  }).pipe(
    Effect.provide(Layer.provideMerge(SqliteRunStore.layerNoClient, SqliteClient.layer({ filename })), { local: true })
  )

const unlisted = (sql: SqlClient) =>
  Effect.map(
    sql<{ readonly id: string }>`SELECT run_id AS id FROM runs WHERE listed = 0 ORDER BY run_id`,
    (rows) => rows.map(({ id }) => id)
  )

const until = <E>(condition: Effect.Effect<boolean, E>): Effect.Effect<void, E> =>
  Effect.flatMap(condition, (met) => met ? Effect.void : Effect.andThen(Effect.sleep("20 millis"), until(condition)))

/** Each list that has such runs, page by page. */
const listed = Effect.fnUntraced(function*(store: RunStore["Service"], tenant: string) {
  const [{ agent, owner }, found] = [makeRun(), new Array<ReadonlyArray<string>>()]
  const filters = [{}, { state: "completed" }, { state: "running" }, { agent }, { kind: "agent" }] as const
  for (const whose of [{ tenant }, { tenant, owner }]) {
    for (const filter of filters) {
      for (let before: { readonly before?: string } = {};;) {
        const page = ids(yield* store.list({ ...whose, ...filter, ...before, limit: 3 }))
        found.push(page)
        const last = page.at(-1)
        if (last === undefined) break
        before = { before: last }
      }
    }
    for (const query of [{}, { phase: "completed" }, { phase: "working" }, { kind: "agent", agent }] as const) {
      const { runs, total } = yield* store.recent({ ...whose, ...query, limit: 4 })
      found.push([...ids(runs), `${total}`])
    }
  }
  return found
})

describe("new runs", () => {
  it.live(
    "are in every list before and after their indexes have them, in the same order",
    () =>
      opened(":memory:", (store, sql) =>
        Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          const tenant = makeRun().tenant
          const runs = Array.from(
            { length: 8 },
            (_, index) => makeRun({ tenant, createdAt: now + index, updatedAt: now + index })
          )
          const end = (at: number) => ({ ts: now + at, set: { state: "completed", finishedAt: now + at } }) as const
          yield* store.write(runs.map((run) => admit(run)))
          // Half of them are in the indexes, the others are not, and they take turns.
          yield* store.write(runs.flatMap((run, index) => index < 6 ? [commit(run, end(20 - index))] : []))
          yield* sql`UPDATE runs SET listed = 1 WHERE ${
            sql.in("run_id", ids(runs.filter((_, index) => index % 2 === 0)))
          }`
          const mixed = yield* listed(store, tenant)
          assert.deepStrictEqual(mixed[0], ids(runs).toReversed().slice(0, 3))
          assert.include(mixed.flat(), "8")

          yield* until(Effect.map(unlisted(sql), (left) => left.length === 1))
          assert.deepStrictEqual(yield* listed(store, tenant), mixed)
          // A running run gets there once it ends.
          assert.deepStrictEqual(yield* unlisted(sql), ids(runs.slice(7)))
          yield* store.write(runs.slice(6).map((run, index) => commit(run, end(40 + index))))
          const before = yield* listed(store, tenant)
          yield* until(Effect.map(unlisted(sql), (left) => left.length === 0))
          assert.deepStrictEqual(yield* listed(store, tenant), before)
        })),
    30_000
  )

  it.live(
    "that a killed process has left out of the indexes get there after the next start",
    () =>
      Effect.gen(function*() {
        const filename = join(mkdtempSync(join(tmpdir(), "sqlite-listing-")), "runs.db")
        const [ended, running] = [makeRun({ state: "completed", finishedAt: 1 }), makeRun({ createdAt: 1 })]
        yield* opened(filename, (store, sql) =>
          Effect.gen(function*() {
            yield* store.write([admit(ended), admit(running)])
            assert.lengthOf(yield* unlisted(sql), 2)
          }))
        yield* opened(filename, (store, sql) =>
          Effect.gen(function*() {
            assert.deepStrictEqual(ids(yield* store.list({ tenant: ended.tenant, limit: 5 })), [ended.runId])
            yield* until(Effect.map(unlisted(sql), (left) => left.length === 0))
            assert.deepStrictEqual(ids(yield* store.list({ tenant: ended.tenant, limit: 5 })), [ended.runId])
          }))
      }),
    30_000
  )

  it.live("are compacted and removed before their indexes have them", () =>
    opened(":memory:", (store) =>
      Effect.gen(function*() {
        const run = makeRun({ state: "completed", finishedAt: 1 })
        const query = { finishedBefore: 2, limit: 5 }
        yield* store.write([admit(run, "a")])
        assert.deepStrictEqual(ids(yield* store.compact({ ...query, dryRun: true })), [run.runId])
        assert.deepStrictEqual(ids(yield* store.compact(query)), [run.runId])
        const other = makeRun({ state: "completed", finishedAt: 1 })
        yield* store.write([admit(other, "a")])
        const removing = { ...query, states: ["completed"] } as const
        assert.sameMembers(ids(yield* store.remove({ ...removing, dryRun: true })), [run.runId, other.runId])
        assert.sameMembers(ids(yield* store.remove(removing)), [run.runId, other.runId])
      })))
})
