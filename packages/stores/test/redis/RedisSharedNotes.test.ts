import { suite } from "@fastagentic/core/testing/contract/SharedNotesContract"
import { Effect } from "effect"
import { Redis } from "../../src/redis/index.ts"
import { describeWithServer, options } from "./server.ts"

describeWithServer("RedisSharedNotes", () => {
  suite("Redis", Effect.map(options, Redis.layer))
})
