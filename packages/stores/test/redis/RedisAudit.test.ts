import { assert, it } from "@effect/vitest"
import { Audit, type Entry } from "@fastagentic/core/Audit"
import { Context, Effect, Layer } from "effect"
import { RedisAudit, RedisClient } from "../../src/redis/index.ts"
import { describeWithServer, options } from "./server.ts"

const makeEntry = (overrides: Partial<Entry> = {}): Entry => ({
  at: 1,
  tenant: "acme",
  principal: "alice",
  action: "start",
  target: "agent/support",
  decision: "allow",
  traceId: "t",
  ...overrides
})

const connect = Effect.map(
  Effect.flatMap(
    options,
    (options) => Layer.build(Layer.fresh(Layer.provideMerge(RedisAudit.layerNoClient, RedisClient.layer(options))))
  ),
  (context) => ({ audit: Context.get(context, Audit), ...Context.get(context, RedisClient.RedisClient) })
)

describeWithServer("RedisAudit", () => {
  it.effect("keeps what was recorded, in order, for its tenant only", () =>
    Effect.gen(function*() {
      const { audit } = yield* connect
      const first = makeEntry({ runId: "r1" })
      const second = makeEntry({ at: 0, principal: "żółw 🐢 '" })
      yield* audit.record(first)
      yield* audit.record(makeEntry({ tenant: "other" }))
      yield* audit.record(second)
      assert.deepStrictEqual(yield* audit.recent("acme"), [first, second])
      assert.deepStrictEqual(yield* audit.recent("nobody"), [])
      const many = Array.from({ length: 50 }, (_, at) => makeEntry({ at, tenant: "many" }))
      yield* Effect.forEach(many, audit.record, { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* audit.recent("many"), many)
    }))

  it.effect("an entry that cannot be written, or read, is a defect", () =>
    Effect.gen(function*() {
      const { audit, prefix, redis } = yield* connect
      yield* redis.send("SET", `${prefix}audit:"acme"`, "text")
      for (const exit of [yield* Effect.exit(audit.record(makeEntry())), yield* Effect.exit(audit.recent("acme"))]) {
        assert.containSubset(exit, { _tag: "Failure", cause: { reasons: [{ _tag: "Die" }] } })
      }
    }))
})
