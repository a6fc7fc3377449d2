import { assert, describe, it } from "@effect/vitest"
import { suite } from "@fastagentic/core/testing/contract/BudgetStoreContract"
import { Effect, Layer, Redacted } from "effect"
import { Redis } from "../../src/redis/index.ts"
import { crashes } from "../budget/crashes.ts"
import { describeWithServer, options } from "./server.ts"

describeWithServer("RedisBudgetStore", () => {
  suite("Redis", Layer.unwrap(Effect.map(options, Redis.layer)))

  describe("1,000 calls against a budget of a dollar, by three processes that are killed", () => {
    it.live("never exceed it, and leave nothing reserved", () =>
      Effect.gen(function*() {
        const { prefix, url } = yield* options
        assert.isAtMost(yield* crashes(["redis", Redacted.value(url), prefix], 3, 6), 1_000_000)
      }).pipe(Effect.scoped), 120_000)
  })
})
