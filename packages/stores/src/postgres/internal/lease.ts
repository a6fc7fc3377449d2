// The lease of a node in PostgreSQL; other nodes may claim its runs once it has ended.
import { type PgClient, PgConnection } from "@effect/sql-pg"
import { Duration, Effect, type Scope } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { keepLease } from "../../lease/keepLease.ts"

/** Gives this node a name and renews its lease until the scope closes, by the clock of the database. */
export const holdLease = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  lease: Duration.Duration
): Effect.fn.Return<{ readonly node: string; readonly canTakeOver: () => boolean }, SqlError, Scope.Scope> {
  const node = globalThis.crypto.randomUUID()
  const params = [node, Duration.toMillis(lease)]
  const canTakeOver = yield* keepLease({
    lease,
    renew: sql.unsafe(renew, params),
    forget: sql`DELETE FROM nodes WHERE node = ${node} OR lease_until < now()`,
    connect: Effect.map(PgConnection.make(sql.config), (connection) => connection.query(renew, params))
  })
  return { node, canTakeOver }
})

const renew = `
  INSERT INTO nodes (node, lease_until) VALUES ($1, now() + $2::float8 * interval '1 millisecond')
  ON CONFLICT (node) DO UPDATE SET lease_until = excluded.lease_until`
