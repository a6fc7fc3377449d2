import { suite } from "@fastagentic/core/testing/contract/BlobStoreContract"
import { Effect, Layer } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "./server.ts"

describeWithServer("PostgresBlobStore", () => {
  suite("Postgres", Layer.unwrap(Effect.map(database, (url) => Postgres.layer({ url }))))
})
