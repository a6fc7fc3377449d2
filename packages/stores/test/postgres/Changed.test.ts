import { changedSuite } from "@fastagentic/core/test/contract/ChangedContract"
import { Effect, Layer } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "./server.ts"

describeWithServer("Changed handlers of runs", () => {
  changedSuite("on PostgreSQL", Layer.unwrap(Effect.map(database, (url) => Postgres.layer({ url }))))
})
