// Keeps the engine's tables small; `ClusterEngine` runs it on every node.
import { Clock, Effect, type Scope } from "effect"
import { MachineId } from "effect/cluster/MachineId"
import * as Snowflake from "effect/cluster/Snowflake"
import { SqlClient } from "effect/sql/SqlClient"
import { entityType } from "./turnWorkflow.ts"

/**
 * Deletes the rows of ended turns after a few seconds. One statement deletes all of them: it costs a fraction of
 * `MessageStorage.clearAddress` for each turn, and it finds the rows that a killed node left behind.
 */
export const keepClean = Effect.fnUntraced(function*(
  prefix: string
): Effect.fn.Return<void, never, SqlClient | Scope.Scope> {
  const sql = yield* SqlClient
  const [messages, replies] = [sql(`${prefix}_messages`), sql(`${prefix}_replies`)]
  const clean = Effect.gen(function*() {
    const timestamp = (yield* Clock.currentTimeMillis) - 2_000
    const before = Snowflake.make({ machineId: MachineId.make(0), sequence: 0, timestamp })
    yield* sql`DELETE FROM ${messages} WHERE entity_type = ${entityType} AND processed AND id < ${before}`
    yield* sql`
      DELETE FROM ${replies} WHERE NOT EXISTS (SELECT 1 FROM ${messages} WHERE ${messages}.id = ${replies}.request_id)`
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep("3 seconds"), Effect.ignore(clean))))
})
