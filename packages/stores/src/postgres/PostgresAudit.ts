/**
 * The audit log in a PostgreSQL database.
 *
 * @since 0.1.0
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import type { Audit } from "@fastagentic/core/audit/Audit"
import * as AuditChain from "@fastagentic/core/audit/AuditChain"
import { type Append, AuditLog } from "@fastagentic/core/audit/AuditLog"
import { type Config, Effect, Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { makeAuditLog, nameOf } from "../sql/audit.ts"
import { isTaken } from "../sql/runReads.ts"
import { Params } from "./internal/params.ts"
import { answered } from "./internal/withTimeout.ts"
import * as migrations from "./migrations.ts"

/**
 * A log on a given `SqlClient`; the tables must exist. The entries of one tenant are one statement. It
 * appends only if the chain still ends where the writer read it, so that exactly one of several nodes succeeds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeLog: Effect.Effect<AuditLog["Service"], never, SqlClient> = Effect.map(SqlClient, (sql) => {
  const appendOne = Effect.fnUntraced(function*(append: Append) {
    // One of the facts is entered: nothing was appended.
    const moved = yield* Effect.catchIf(sql.unsafe(...statementOf(append)), isTaken, () => Effect.succeed([]))
    if (moved.length === 0) return yield* log.chainHead(append.tenant)
    const { hash, seq } = append.links.at(-1) ?? append.after
    return { seq, hash }
  })

  const log: AuditLog["Service"] = makeAuditLog(
    sql,
    answered,
    (appends) => Effect.forEach(appends, appendOne, { concurrency: 4 }).pipe(answered("audit: append"))
  )
  return log
})

const statementOf = ({ after, keys, links, tenant }: Append): [text: string, values: ReadonlyArray<unknown>] => {
  const params = new Params()
  const last = links.at(-1) ?? after
  const [name, seq, hash] = [params.add(nameOf(tenant)), params.add(last.seq), params.add(last.hash)]
  const moved = after.seq === 0
    ? `INSERT INTO audit_chains (tenant, seq, hash) VALUES (${name}, ${seq}, ${hash}) ON CONFLICT DO NOTHING`
    : `UPDATE audit_chains SET seq = ${seq}, hash = ${hash}
        WHERE tenant = ${name} AND seq = ${params.add(after.seq)} AND hash = ${params.add(after.hash)}`
  const link = params.table(
    "link",
    { seq: "float8", hash: "text", body: "text", fact: "text" },
    links.map((one) => [one.seq, one.hash, one.body, one.fact])
  )
  const key = params.table(
    "fresh",
    { id: "text", subject: "text", key: "text", created_at: "float8" },
    keys.map((one) => [one.id, nameOf(one.subject), one.key, one.createdAt])
  )
  const text = `
    WITH moved AS (${moved} RETURNING tenant), ${link}, ${key},
    added AS (INSERT INTO audit (tenant, seq, hash, body, fact) SELECT moved.tenant, link.* FROM moved, link),
    kept AS (
      INSERT INTO audit_keys (tenant, id, subject, key, created_at) SELECT moved.tenant, fresh.* FROM moved, fresh
    )
    SELECT tenant FROM moved`
  return [text, params.values]
}

/**
 * Creates the tables when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerLog: Layer.Layer<AuditLog, MigrationError | SqlError, SqlClient> = Layer.effect(
  AuditLog,
  makeLog
).pipe(Layer.provide(migrations.layer))

/**
 * The audit service and its log on a given `SqlClient`.
 *
 * **Gotchas**
 *
 * An entry that cannot be written is a defect that the runtime logs, because the action itself has already happened.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<Audit | AuditLog, Config.ConfigError | MigrationError | SqlError, SqlClient> =
  AuditChain
    .layer.pipe(Layer.provideMerge(layerLog), Layer.provide(NodeCrypto.layer))
