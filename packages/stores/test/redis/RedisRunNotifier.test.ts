import { assert, it } from "@effect/vitest"
import { type Notice, RunNotifier } from "@fastagentic/core/store/RunNotifier"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Context, Effect, Layer, Logger, Queue, Schedule, Stream } from "effect"
import { Redis } from "../../src/redis/index.ts"
import { describeWithOwnServer, describeWithServer, options, ownServer } from "./server.ts"

/** One node: its store, and the notices that it receives. */
const connect = Effect.fnUntraced(function*(options: Redis.Options) {
  const context = yield* Layer.build(Layer.fresh(Redis.layer(options)))
  const heard = yield* Queue.unbounded<Notice>()
  yield* Effect.forkScoped(
    Stream.runForEach(Context.get(context, RunNotifier).changes, (notice) => Queue.offer(heard, notice))
  )
  assert.deepStrictEqual(yield* Queue.take(heard), { _tag: "Missed" })
  return { store: Context.get(context, RunStore), heard }
})

const commit = (runId: string) =>
  ({
    _tag: "Commit",
    runId,
    attempt: 1,
    from: ["running"],
    ts: 1,
    events: [{ type: "token", data: { delta: "a" } }]
  }) as const

describeWithServer("RedisRunNotifier", () => {
  it.live("every node receives a notice of every commit, and can read it", () =>
    Effect.gen(function*() {
      const shared = yield* options
      const one = yield* connect(shared)
      const other = yield* connect(shared)
      const { runId } = yield* Effect.tap(
        Effect.sync(makeRun),
        (run) => one.store.write([{ _tag: "Admit", run, events: [] }])
      )
      for (let seq = 1; seq <= 5; seq++) {
        yield* one.store.write([commit(runId)])
        const notice: Notice = { _tag: "Changed", runId, seq }
        assert.deepStrictEqual(yield* Queue.take(other.heard), notice)
        assert.strictEqual((yield* other.store.get(runId))?.seq, seq)
        assert.deepStrictEqual(yield* Queue.take(one.heard), notice)
      }
    }))
})

describeWithOwnServer("RedisRunNotifier and a Redis that is restarted", () => {
  it.live("reports that it may have missed notices, and receives new ones", () =>
    Effect.gen(function*() {
      const server = yield* ownServer()
      const { heard, store } = yield* connect({ url: server.url })
      const run = makeRun()
      yield* store.write([{ _tag: "Admit", run, events: [] }])
      for (const signal of ["SIGTERM", "SIGKILL"] as const) {
        yield* Effect.promise(() => server.stop(signal))
        yield* Effect.sleep("200 millis")
        yield* Effect.promise(() => server.start())
        assert.deepStrictEqual(yield* Queue.take(heard), { _tag: "Missed" })
        yield* Effect.retry(store.write([commit(run.runId)]), { schedule: Schedule.spaced("20 millis"), times: 500 })
        assert.containSubset(yield* Queue.take(heard), { _tag: "Changed", runId: run.runId })
      }
    }).pipe(Effect.provideService(Logger.CurrentLoggers, new Set())))
})
