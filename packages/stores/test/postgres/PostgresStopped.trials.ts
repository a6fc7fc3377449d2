import { assert, it } from "@effect/vitest"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Context, Effect, Layer } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { describeWithOwnServer, Server } from "./server.ts"

const open = (options: Postgres.Options) => Layer.build(Layer.fresh(Postgres.layer(options)))

describeWithOwnServer("a server that is stopped while it is written to", () => {
  const token = { type: "token", data: { delta: "a" } } as const

  for (const signal of ["SIGINT", "SIGQUIT"] as const) {
    it.live(`keeps every commit over ${signal}`, () =>
      Effect.gen(function*() {
        const server = yield* Effect.acquireRelease(
          Effect.promise(() => Server.make()),
          (server) => Effect.promise(() => server.remove())
        )
        const store = Context.get(yield* open({ url: server.url }), RunStore)
        const runs = Array.from({ length: 6 }, () => makeRun())
        yield* store.write(runs.map((run) => ({ _tag: "Admit", run, events: [] })))
        const progress = { rounds: 0, failures: 0, down: 0, stop: false }
        // Every second writer makes transactions of several statements.
        const write = Effect.fnUntraced(function*(runId: string, index: number) {
          const confirmed: Array<number> = []
          while (!progress.stop) {
            const round = ++progress.rounds
            const commit = (value: number) => ({
              _tag: "Commit",
              runId,
              attempt: 1,
              from: ["running"],
              ts: 1,
              events: [token, { type: "custom", data: { name: "round", value } }]
            } as const)
            const commits = index % 2 === 0 ? [commit(round)] : [commit(-round), commit(round)]
            const written = yield* Effect.result(store.write(commits))
            if (written._tag === "Success") {
              assert.isTrue(written.success.every((one) => one._tag === "Committed"))
              confirmed.push(round)
            } else {
              assert.strictEqual(written.failure._tag, "StoreUnavailable")
              progress.failures++
              yield* Effect.sleep("10 millis")
            }
          }
          return confirmed
        })
        const operate = Effect.gen(function*() {
          for (let restart = 0; restart < 3; restart++) {
            const before = progress.rounds
            yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => progress.rounds - before > 300 })
            yield* Effect.promise(() => server.stop(signal))
            progress.down++
            assert.strictEqual((yield* Effect.flip(store.unfinished))._tag, "StoreUnavailable")
            yield* Effect.promise(() => server.start())
          }
          const failures = progress.failures
          yield* Effect.sleep("500 millis")
          progress.stop = true
          return progress.failures - failures
        })
        const writers = Effect.forEach(runs, ({ runId }, index) => write(runId, index), { concurrency: "unbounded" })
        const [confirmed] = yield* Effect.all([writers, operate], { concurrency: "unbounded" })
        assert.isAtLeast(progress.failures, 3)
        for (const [index, { runId }] of runs.entries()) {
          const events = yield* store.events(runId, 0, 1_000_000)
          assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, at) => at + 1))
          assert.strictEqual((yield* store.get(runId))?.seq, events.length)
          const stored = events.flatMap((event) => event.type === "custom" ? [Number(event.data.value)] : [])
          const rounds = new Set(stored)
          assert.strictEqual(rounds.size, stored.length)
          assert.isTrue(confirmed[index]?.every((round) => rounds.has(round)))
          // A transaction is stored completely or not at all.
          if (index % 2 === 1) assert.isTrue(stored.every((round) => rounds.has(-round)))
        }
      }), 60_000)
  }
})
