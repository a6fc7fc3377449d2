import { assert, it } from "@effect/vitest"
import { type Notice, RunNotifier } from "@fastagentic/core/store/RunNotifier"
import { type Commit, RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Context, Effect, Fiber, Layer, Queue, type Redacted, Stream } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithOwnServer, describeWithServer, Server } from "./server.ts"

const makeNode = Effect.fnUntraced(function*(url: Redacted.Redacted) {
  const context = yield* Layer.build(Layer.fresh(Postgres.layer({ url })))
  const notices = yield* Queue.unbounded<Notice>()
  const listening = yield* Effect.forkScoped(
    Stream.runForEach(Context.get(context, RunNotifier).changes, (notice) => Queue.offer(notices, notice))
  )
  return { store: Context.get(context, RunStore), notices, listening }
})

const commit = (runId: string, parts: Partial<Commit> = {}): Commit => ({
  _tag: "Commit",
  runId,
  attempt: 1,
  from: ["running"],
  ts: 1,
  events: [{ type: "token", data: { delta: "a" } }],
  ...parts
})

const missed: Notice = { _tag: "Missed" }

const changed = (runId: string, seq: number): Notice => ({ _tag: "Changed", runId, seq })

describeWithServer("PostgresRunNotifier", () => {
  it.live("notifies every node of each commit, and of nothing else", () =>
    Effect.gen(function*() {
      const url = yield* database
      const [writer, follower] = [yield* makeNode(url), yield* makeNode(url)]
      assert.deepStrictEqual(yield* Queue.take(follower.notices), missed)
      assert.deepStrictEqual(yield* Queue.take(writer.notices), missed)
      const odd = makeRun({ runId: "a run id \"with\" ' spaces 7" })
      const run = makeRun()
      const { runId } = run
      yield* writer.store.write([run, odd].map((run) => ({ _tag: "Admit", run, events: [] })))
      yield* writer.store.write([commit(runId, { attempt: 2 })])
      yield* writer.store.write([commit(runId, { attempt: 2 }), commit(runId), commit(runId)])
      yield* writer.store.write([commit(odd.runId)])
      const expected = [changed(runId, 1), changed(runId, 2), changed(odd.runId, 1)]
      for (const { notices, store } of [follower, writer]) {
        for (const notice of expected) {
          assert.deepStrictEqual(yield* Queue.take(notices), notice)
          // A noticed commit can be read.
          if (notice._tag === "Changed") assert.isAtLeast((yield* store.get(notice.runId))?.seq ?? 0, notice.seq)
        }
      }
      assert.strictEqual(yield* Queue.size(follower.notices), 0)
    }))

  it.live("returns its connection to the pool when its stream is not read", () =>
    Effect.gen(function*() {
      const { listening, notices, store } = yield* makeNode(yield* database)
      assert.deepStrictEqual(yield* Queue.take(notices), missed)
      yield* Fiber.interrupt(listening)
      assert.deepStrictEqual(yield* store.unfinished, [])
    }))
})

describeWithOwnServer("PostgresRunNotifier", () => {
  it.live("reconnects after its server, and reports that notices may have been missed", () =>
    Effect.gen(function*() {
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => Server.make()),
        (server) => Effect.promise(() => server.remove())
      )
      const { notices, store } = yield* makeNode(server.url)
      const run = makeRun()
      assert.deepStrictEqual(yield* Queue.take(notices), missed)
      yield* store.write([{ _tag: "Admit", run, events: [] }, commit(run.runId)])
      assert.deepStrictEqual(yield* Queue.take(notices), changed(run.runId, 1))
      yield* Effect.promise(() => server.stop("SIGINT"))
      yield* Effect.sleep("500 millis")
      yield* Effect.promise(() => server.start())
      assert.deepStrictEqual(yield* Queue.take(notices), missed)
      yield* store.write([commit(run.runId)])
      assert.deepStrictEqual(yield* Queue.take(notices), changed(run.runId, 2))
    }))
})
