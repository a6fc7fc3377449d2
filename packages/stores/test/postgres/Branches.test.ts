import { branchesSuite, replaySuite } from "@fastagentic/core/test/contract/BranchesContract"
import { Effect, Layer } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "./server.ts"

const store = Layer.unwrap(Effect.map(database, (url) => Postgres.layer({ url })))

describeWithServer("Branches of runs", () => {
  replaySuite("on PostgreSQL", store)
  branchesSuite("on PostgreSQL", store)
})
