import { suite } from "@fastagentic/core/test/contract/RunStoreContract"
import { Effect, Layer } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "./server.ts"

const Stored = Layer.unwrap(Effect.map(database, (url) => Postgres.layer({ url })))

describeWithServer("PostgresRunStore", () => {
  suite("in a database", Stored)
})
