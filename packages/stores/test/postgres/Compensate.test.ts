import { compensateSuite } from "@fastagentic/core/test/contract/CompensateContract"
import { Effect, Layer } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "./server.ts"

describeWithServer("Undos of runs", () => {
  compensateSuite("on PostgreSQL", Layer.unwrap(Effect.map(database, (url) => Postgres.layer({ url }))))
})
