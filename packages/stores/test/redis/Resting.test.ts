import { Effect } from "effect"
import { Redis } from "../../src/redis/index.ts"
import { restingSuite } from "../restingSuite.ts"
import { describeWithServer, options } from "./server.ts"

describeWithServer("A run on Redis that comes to rest", () => {
  restingSuite(Effect.map(options, (shared) => Redis.layer(shared)))
})
