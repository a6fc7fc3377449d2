import { suite } from "@fastagentic/core/testing/contract/SharedNotesContract"
import { Effect } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "./server.ts"

describeWithServer("PostgresSharedNotes", () => {
  suite("Postgres", Effect.map(database, (url) => Postgres.layer({ url })))
})
