import { assert, it } from "@effect/vitest"
import { Audit } from "@fastagentic/core/audit/Audit"
import * as AuditContract from "@fastagentic/core/testing/contract/AuditContract"
import * as AuditLogContract from "@fastagentic/core/testing/contract/AuditLogContract"
import { Context, Effect, Layer } from "effect"
import { RedisAudit, RedisClient } from "../../src/redis/index.ts"
import { describeWithServer, options } from "./server.ts"

const client = Layer.unwrap(Effect.map(options, RedisClient.layer))

const connect = Effect.map(
  Layer.build(Layer.fresh(Layer.provideMerge(RedisAudit.layerNoClient, client))),
  (context) => ({ audit: Context.get(context, Audit), ...Context.get(context, RedisClient.RedisClient) })
)

describeWithServer("RedisAudit", () => {
  AuditContract.suite("the trail", Layer.provide(RedisAudit.layerNoClient, client))

  AuditLogContract.suite(
    "its log",
    Effect.map(options, (given) => Layer.provide(RedisAudit.layerLog, RedisClient.layer(given)))
  )

  it.effect("an entry that cannot be written is a defect, one that cannot be read is a failure", () =>
    Effect.gen(function*() {
      const { audit, prefix, redis } = yield* connect
      yield* redis.send("SET", `${prefix}audit:trail:"acme"`, "text")
      const exit = yield* Effect.exit(audit.record(AuditContract.makeEntry()))
      assert.containSubset(exit, { _tag: "Failure", cause: { reasons: [{ _tag: "Die" }] } })
      const error = yield* Effect.flip(audit.page({ tenant: "acme", limit: 1 }))
      assert.strictEqual(error._tag, "StoreUnavailable")
      yield* redis.send("DEL", `${prefix}audit:trail:"acme"`)
      yield* audit.record(AuditContract.makeEntry())
      assert.containSubset(yield* audit.page({ tenant: "acme", limit: 2 }), [{ seq: 1, principal: "alice" }])
    }))
})
