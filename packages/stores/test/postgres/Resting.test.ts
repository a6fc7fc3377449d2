import { Effect } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { restingSuite } from "../restingSuite.ts"
import { database, describeWithServer } from "./server.ts"

describeWithServer("A run on PostgreSQL that comes to rest", () => {
  restingSuite(Effect.map(database, (url) => Postgres.layer({ url })))
})
