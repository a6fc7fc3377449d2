import { threadsSuite } from "@fastagentic/core/test/contract/ThreadsContract"
import { suite } from "@fastagentic/core/testing/contract/ThreadStoreContract"
import { Effect, Layer } from "effect"
import { Redis } from "../../src/redis/index.ts"
import { describeWithServer, options } from "./server.ts"

describeWithServer("RedisThreads", () => {
  threadsSuite("on Redis", Layer.unwrap(Effect.map(options, Redis.layer)))
  suite("RedisRunStore", Layer.unwrap(Effect.map(options, Redis.layer)))
})
