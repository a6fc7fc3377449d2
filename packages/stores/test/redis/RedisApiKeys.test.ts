import { suite } from "@fastagentic/core/testing/contract/ApiKeyStoreContract"
import { Effect, Layer } from "effect"
import { Redis } from "../../src/redis/index.ts"
import { describeWithServer, options } from "./server.ts"

describeWithServer("RedisApiKeys", () => {
  suite("Redis", Layer.unwrap(Effect.map(options, Redis.layer)))
})
