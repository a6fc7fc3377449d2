import { assert, describe, it } from "@effect/vitest"
import { makeMemory, RateCounters } from "@fastagentic/core/door/RateCounters"
import { suite } from "@fastagentic/core/testing/contract/RateCountersContract"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose_gc")

const heap = () => {
  runInNewContext("gc")()
  return process.memoryUsage().heapUsed
}

suite("RateCounters in memory", Effect.succeed(RateCounters.layerMemory), { nodes: 1 })

describe("RateCounters in memory", () => {
  it.effect("an idle bucket is full again, and not more than full", () =>
    Effect.gen(function*() {
      const store = makeMemory()
      const counter = { key: "k", limit: 3, windowMillis: 1_000, algorithm: "token-bucket" } as const
      const drain = Effect.gen(function*() {
        let calls = 0
        while ((yield* store.take([counter]))[0]?.allowed) calls++
        return calls
      })
      assert.strictEqual(yield* drain, 3)
      for (const [wait, room] of [[333, 0], [1, 1], [333, 1], [667, 2], [100_000, 3]] as const) {
        yield* TestClock.adjust(wait)
        assert.strictEqual(yield* drain, room, `after ${wait} more`)
      }
    }))

  it.effect("forgets counters that are over", () =>
    Effect.gen(function*() {
      const before = heap()
      const store = makeMemory()
      for (let round = 0; round < 100; round++) {
        for (let user = 0; user < 2_000; user++) {
          const key = `${round} ${user} ${"x".repeat(100)}`
          yield* store.take([{ key, limit: 1, windowMillis: 1_000, algorithm: "fixed-window" }])
        }
        yield* TestClock.adjust("1 second")
      }
      yield* store.take([{ key: "last", limit: 1, windowMillis: 1_000, algorithm: "fixed-window" }])
      // 200,000 counters would be some 60 MB.
      assert.isBelow(heap() - before, 10_000_000)
    }))
})
