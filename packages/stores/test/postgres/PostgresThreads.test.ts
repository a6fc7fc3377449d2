import { threadsSuite } from "@fastagentic/core/test/contract/ThreadsContract"
import { suite } from "@fastagentic/core/testing/contract/ThreadStoreContract"
import { Effect, Layer } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "./server.ts"

describeWithServer("PostgresThreads", () => {
  threadsSuite("on PostgreSQL", Layer.unwrap(Effect.map(database, (url) => Postgres.layer({ url }))))
  suite("PostgresRunStore", Layer.unwrap(Effect.map(database, (url) => Postgres.layer({ url }))))
})
