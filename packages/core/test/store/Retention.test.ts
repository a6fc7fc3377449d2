import { assert, describe, it } from "@effect/vitest"
import { Retention, RunStore } from "@fastagentic/core"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Effect, Layer } from "effect"

const day = 86_400_000

const ended = (finishedAt: number, overrides: Parameters<typeof makeRun>[0] = {}) =>
  makeRun({ tenant: "default", state: "completed", finishedAt, ...overrides })

const admitAll = Effect.fnUntraced(function*(runs: ReadonlyArray<ReturnType<typeof makeRun>>) {
  const store = yield* RunStore.RunStore
  yield* store.write(runs.map((run) => ({ _tag: "Admit", run, events: [] })))
  return store
})

const left = Effect.fnUntraced(function*(runs: Readonly<Record<string, ReturnType<typeof makeRun>>>) {
  const store = yield* RunStore.RunStore
  const found = yield* Effect.forEach(
    Object.entries(runs),
    ([name, { runId }]) => Effect.map(store.get(runId), (run) => run === undefined ? [] : [name])
  )
  return found.flat()
})

const layer = Layer.fresh(RunStore.RunStore.layerMemory)

describe("Retention", () => {
  it.live("goes by state and by tenant, and touches nothing that has not ended", () =>
    Effect.gen(function*() {
      const now = Date.now()
      const runs = {
        old: ended(now - 8 * day),
        young: ended(now - 6 * day),
        oldFailed: ended(now - 40 * day, { state: "failed" }),
        failed: ended(now - 8 * day, { state: "failed" }),
        rejected: ended(1, { state: "rejected" }),
        theirs: ended(now - 80 * day, { tenant: "acme" }),
        theirOld: ended(now - 95 * day, { tenant: "acme" }),
        theirFailed: ended(now - 40 * day, { tenant: "acme", state: "failed" }),
        waiting: makeRun({ tenant: "default", state: "suspended", createdAt: 1, updatedAt: 1 }),
        awaited: ended(1)
      }
      const awaited = { ...runs.awaited, parentRunId: runs.waiting.runId }
      yield* admitAll(Object.values({ ...runs, awaited }))
      const options = { completed: "7 days", failed: "30 days", tenants: { acme: { completed: "90 days" } } } as const
      assert.strictEqual(yield* Retention.sweep(options), 4)
      assert.deepStrictEqual(yield* left(runs), ["young", "failed", "rejected", "theirs", "waiting", "awaited"])
      assert.strictEqual(yield* Retention.sweep(options), 0)
      assert.strictEqual(yield* Retention.sweep({}), 0)
    }).pipe(Effect.provide(layer)))

  it.live("takes trees of runs from the top, in as many goes as that needs", () =>
    Effect.gen(function*() {
      const chain = Array.from({ length: 5 }, () => ended(1))
      const linked = chain.map((run, index) => {
        const parentRunId = chain[index - 1]?.runId
        return parentRunId === undefined ? run : { ...run, parentRunId }
      })
      const many = Array.from({ length: 450 }, () => ended(1, { parentRunId: chain[4]?.runId ?? "" }))
      const store = yield* admitAll([...linked, ...many])
      const selection = { states: ["completed"], finishedBefore: 2 } as const
      assert.strictEqual((yield* Retention.findAll(selection)).length, 455)
      const order: Array<string> = []
      yield* Retention.removeAll(selection, (runs) => order.push(...runs.map(({ runId }) => runId)))
      assert.deepStrictEqual(order.slice(0, 5), chain.map(({ runId }) => runId))
      assert.strictEqual(order.length, 455)
      assert.deepStrictEqual(yield* store.list({ tenant: "default", limit: 10 }), [])
    }).pipe(Effect.provide(layer)), { timeout: 20_000 })

  it.live("sweeps in the background", () =>
    Effect.gen(function*() {
      const run = ended(1)
      const store = yield* admitAll([run])
      yield* Layer.build(Retention.layer({ completed: "1 second" }))
      yield* Effect.repeat(Effect.delay(store.get(run.runId), "50 millis"), { until: (run) => run === undefined })
    }).pipe(Effect.scoped, Effect.provide(layer)))
})
