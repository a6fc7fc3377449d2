import { type PgClient, PgConnection } from "@effect/sql-pg"
import { Duration, Effect, type Scope } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { keepLease } from "../../lease/keepLease.ts"

/**
 * Gives this node a name and says, until the scope closes, that it is alive. The clock is the database's alone.
 */
export const holdLease = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  lease: Duration.Duration
): Effect.fn.Return<{ readonly node: string; readonly canTakeOver: () => boolean }, SqlError, Scope.Scope> {
  const node = globalThis.crypto.randomUUID()
  const params = [node, Duration.toMillis(lease)]
  const steady = yield* keepLease({
    lease,
    renew: sql.unsafe(renew, params),
    forget: sql`DELETE FROM nodes WHERE node = ${node} OR lease_until < now()`,
    connect: Effect.map(PgConnection.make(sql.config), (connection) => connection.query(renew, params))
  })
  return { node, canTakeOver: steady }
})

const renew = `
  INSERT INTO nodes (node, lease_until) VALUES ($1, now() + $2::float8 * interval '1 millisecond')
  ON CONFLICT (node) DO UPDATE SET lease_until = excluded.lease_until`
