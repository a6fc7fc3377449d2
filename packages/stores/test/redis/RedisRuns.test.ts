import { branchesSuite, replaySuite } from "@fastagentic/core/test/contract/BranchesContract"
import { changedSuite } from "@fastagentic/core/test/contract/ChangedContract"
import { compensateSuite } from "@fastagentic/core/test/contract/CompensateContract"
import { Effect, Layer } from "effect"
import { Redis } from "../../src/redis/index.ts"
import { describeWithServer, options } from "./server.ts"

describeWithServer("Runs", () => {
  const store = Layer.unwrap(Effect.map(options, Redis.layer))
  replaySuite("on Redis", store)
  branchesSuite("on Redis", store)
  changedSuite("on Redis", store)
  compensateSuite("on Redis", store)
})
