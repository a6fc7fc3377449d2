import { suite } from "@fastagentic/core/testing/contract/BlobStoreContract"
import { Effect, Layer } from "effect"
import { Redis } from "../../src/redis/index.ts"
import { describeWithServer, options } from "./server.ts"

describeWithServer("RedisBlobStore", () => {
  suite("Redis", Layer.unwrap(Effect.map(options, Redis.layer)))
})
