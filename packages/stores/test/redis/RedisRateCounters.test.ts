import { assert, it } from "@effect/vitest"
import { RateCounters } from "@fastagentic/core/door/RateCounters"
import { suite } from "@fastagentic/core/testing/contract/RateCountersContract"
import { Context, Effect, Layer } from "effect"
import { RedisClient, RedisRateCounters } from "../../src/redis/index.ts"
import { describeWithOwnServer, describeWithServer, options, ownServer } from "./server.ts"

const layerOf = (options: RedisClient.Options) =>
  Layer.provideMerge(RedisRateCounters.layerNoClient, RedisClient.layer(options))

const makeNode = (options: RedisClient.Options) =>
  Effect.map(Layer.build(Layer.fresh(layerOf(options))), (context) => ({
    counters: Context.get(context, RateCounters),
    ...Context.get(context, RedisClient.RedisClient)
  }))

const once = (key: string, windowMillis = 60_000) =>
  ({ key, limit: 1, windowMillis, algorithm: "fixed-window" }) as const

describeWithServer("RedisRateCounters", () => {
  suite("as every store", Effect.map(options, layerOf), { nodes: 3 })

  it.live("counters expire with their window", () =>
    Effect.gen(function*() {
      const { counters, prefix, redis } = yield* makeNode(yield* options)
      const keys = redis.send("KEYS", `${prefix}rate:*`)
      const bucket = { key: "bucket", limit: 1_000, windowMillis: 50_000, algorithm: "token-bucket" } as const
      yield* counters.take([once("short", 40), once("long"), bucket])
      assert.strictEqual(Object(yield* keys).length, 3)
      // The bucket allows one more call after 50 ms.
      yield* Effect.sleep("200 millis")
      assert.deepStrictEqual(yield* keys, [`${prefix}rate:long`])
    }))

  it.live("a counter of another type is StoreUnavailable", () =>
    Effect.gen(function*() {
      const { counters, prefix, redis } = yield* makeNode(yield* options)
      yield* redis.send("SET", `${prefix}rate:a`, "text")
      assert.strictEqual((yield* Effect.flip(counters.take([once("b"), once("a")])))._tag, "StoreUnavailable")
      assert.isTrue((yield* counters.take([once("b")]))[0]?.allowed)
    }))
})

describeWithOwnServer("RedisRateCounters without its server", () => {
  it.live("fails while the server is away, and counts on when it is back", () =>
    Effect.gen(function*() {
      const server = yield* ownServer()
      const { counters } = yield* makeNode({ url: server.url })
      yield* counters.take([once("a")])
      yield* Effect.promise(() => server.stop("SIGTERM"))
      assert.strictEqual((yield* Effect.flip(counters.take([once("a")])))._tag, "StoreUnavailable")
      yield* Effect.promise(() => server.start())
      const [again] = yield* Effect.eventually(counters.take([once("a")]))
      assert.isFalse(again?.allowed)
    }), 30_000)
})
