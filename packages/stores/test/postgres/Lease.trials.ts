import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Context, Effect, Layer } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithOwnServer, describeWithServer, Server } from "./server.ts"

/** A node with few connections, and its own run. */
const makeNode = Effect.fnUntraced(function*(url: Postgres.Options["url"]) {
  const client = PgClient.layer({ url, maxConnections: 2 })
  const layer = Layer.provideMerge(Postgres.layerNoClient({ lease: "1 second" }), client)
  const context = yield* Layer.build(Layer.fresh(layer))
  const store = Context.get(context, RunStore)
  const run = makeRun()
  return { store, run, sql: Context.get(context, PgClient.PgClient) }
})

const admitOwn = ({ run, store }: Effect.Success<ReturnType<typeof makeNode>>) =>
  store.write([{ _tag: "Admit", run, events: [] }])

describeWithServer("a node whose connections are all busy", () => {
  it.live("keeps its runs", () =>
    Effect.gen(function*() {
      const url = yield* database
      const [busy, other] = [yield* makeNode(url), yield* makeNode(url)]
      yield* admitOwn(busy)
      const sleeps = Array.from({ length: 4 }, () => busy.sql.withTransaction(busy.sql`SELECT pg_sleep(2)`))
      yield* Effect.forkScoped(Effect.all(sleeps, { concurrency: "unbounded" }))
      const looks = yield* Effect.forEach(
        Array.from({ length: 30 }),
        () => Effect.delay(other.store.unfinished, "100 millis")
      )
      assert.deepStrictEqual(looks.flat(), [])
    }).pipe(Effect.scoped))
})

describeWithOwnServer("nodes whose database was away for longer than a lease", () => {
  it.live("keep their runs, since neither could renew its lease", () =>
    Effect.gen(function*() {
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => Server.make()),
        (server) => Effect.promise(() => server.remove())
      )
      const nodes = [yield* makeNode(server.url), yield* makeNode(server.url)]
      yield* Effect.forEach(nodes, admitOwn)
      yield* Effect.promise(() => server.stop("SIGINT"))
      yield* Effect.sleep("2 seconds")
      yield* Effect.promise(() => server.start())
      for (let look = 0; look < 60; look++) {
        for (const { run, store } of nodes) {
          const seen = yield* Effect.orElseSucceed(store.unfinished, () => [])
          assert.isTrue(seen.every(({ runId }) => runId === run.runId))
          assert.deepStrictEqual(yield* Effect.orElseSucceed(store.abandoned, () => []), [])
        }
        yield* Effect.sleep("50 millis")
      }
      for (const { run, store } of nodes) {
        assert.deepStrictEqual((yield* store.unfinished).map(({ runId }) => runId), [run.runId])
      }
    }).pipe(Effect.scoped), 60_000)
})
