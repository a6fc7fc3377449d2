/**
 * The audit trail in a SQLite database.
 *
 * @since 0.1.0
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import type { Audit } from "@fastagentic/core/Audit"
import * as AuditChain from "@fastagentic/core/AuditChain"
import { type Append, AuditLog } from "@fastagentic/core/AuditLog"
import { type Config, Effect, Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { makeAuditLog, nameOf } from "../sql/audit.ts"
import { unavailable } from "../sql/unavailable.ts"
import * as migrations from "./migrations.ts"
import * as SqliteClient from "./SqliteClient.ts"

/**
 * A log on whatever `SqlClient` is there; the tables have to exist. One call of `append` is one transaction.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeLog: Effect.Effect<AuditLog["Service"], never, SqlClient.SqlClient> = Effect.map(
  SqlClient.SqlClient,
  (sql) => {
    const move = ({ after, links, tenant }: Append) => {
      const { hash, seq } = links.at(-1) ?? after
      return after.seq === 0
        ? sql`
          INSERT INTO audit_chains (tenant, seq, hash) VALUES (${nameOf(tenant)}, ${seq}, ${hash})
          ON CONFLICT DO NOTHING RETURNING seq`
        : sql`
          UPDATE audit_chains SET seq = ${seq}, hash = ${hash}
          WHERE tenant = ${nameOf(tenant)} AND seq = ${after.seq} AND hash = ${after.hash} RETURNING seq`
    }

    const appendOne = Effect.fnUntraced(function*(append: Append) {
      const { after, keys, links, tenant } = append
      const name = nameOf(tenant)
      if ((yield* move(append)).length === 0) return yield* log.place(tenant)
      for (const { body, hash, seq } of links) {
        yield* sql`INSERT INTO audit (tenant, seq, hash, body) VALUES (${name}, ${seq}, ${hash}, ${body})`
      }
      for (const { createdAt, id, key, subject } of keys) {
        yield* sql`
          INSERT INTO audit_keys (tenant, id, subject, key, created_at)
          VALUES (${name}, ${id}, ${nameOf(subject)}, ${key}, ${createdAt})`
      }
      const { hash, seq } = links.at(-1) ?? after
      return { seq, hash }
    })

    const log: AuditLog["Service"] = makeAuditLog(
      sql,
      unavailable,
      (appends) => Effect.forEach(appends, appendOne).pipe(sql.withTransaction, unavailable("audit: append"))
    )
    return log
  }
)

/**
 * Creates the tables when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerLog: Layer.Layer<AuditLog, MigrationError | SqlError, SqlClient.SqlClient> = Layer.effect(
  AuditLog,
  makeLog
).pipe(Layer.provide(migrations.layer))

/**
 * The trail, and its log, on whatever `SqlClient` is there.
 *
 * **Gotchas**
 *
 * An entry that cannot be written is a defect: what cannot be audited does not go on.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<
  Audit | AuditLog,
  Config.ConfigError | MigrationError | SqlError,
  SqlClient.SqlClient
> = AuditChain.layer.pipe(Layer.provideMerge(layerLog), Layer.provide(NodeCrypto.layer))

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: SqliteClient.Options
): Layer.Layer<Audit | AuditLog, Config.ConfigError | MigrationError | SqlError | SqliteClient.SqliteLocked> =>
  Layer.provide(layerNoClient, SqliteClient.layer(options))
