import { Duration, Effect, type Scope } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/**
 * Gives this node a name and says, until the scope closes, that it is alive. The clock is the database's alone.
 */
export const holdLease = Effect.fnUntraced(function*(
  sql: SqlClient,
  lease: Duration.Duration
): Effect.fn.Return<string, SqlError, Scope.Scope> {
  const node = globalThis.crypto.randomUUID()
  const renew = sql`
    INSERT INTO nodes (node, lease_until) VALUES (${node}, now() + ${
    Duration.toMillis(lease)
  } * interval '1 millisecond')
    ON CONFLICT (node) DO UPDATE SET lease_until = excluded.lease_until`
  const forget = sql`DELETE FROM nodes WHERE node = ${node} OR lease_until < now()`
  yield* Effect.acquireRelease(renew, () => Effect.ignore(forget))
  const goOn = Effect.catch(renew, (error) => Effect.logWarning("This node cannot say that it is alive", error.message))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(Duration.divideUnsafe(lease, 3)), goOn)))
  return node
})
