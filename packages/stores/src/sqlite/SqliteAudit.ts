/**
 * The audit log in a SQLite database.
 *
 * @since 0.1.0
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import type { Audit } from "@fastagentic/core/audit/Audit"
import * as AuditChain from "@fastagentic/core/audit/AuditChain"
import { type Append, AuditLog } from "@fastagentic/core/audit/AuditLog"
import { type Config, Effect, Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import { freshLayer } from "../internal/freshLayer.ts"
import { makeAuditLog, nameOf } from "../sql/audit.ts"
import { isTaken } from "../sql/runReads.ts"
import { unavailable } from "../sql/unavailable.ts"
import * as migrations from "./migrations.ts"
import * as SqliteClient from "./SqliteClient.ts"
import * as SqliteWriter from "./SqliteWriter.ts"

/**
 * A log on a given `SqlClient`; the tables must exist.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeLog: Effect.Effect<
  AuditLog["Service"],
  never,
  SqlClient.SqlClient | SqliteWriter.SqliteWriter
> = Effect.gen(function*() {
  const writer = yield* SqliteWriter.SqliteWriter

  const appendOne = Effect.fnUntraced(function*(connection: Connection, { after, keys, links, tenant }: Append) {
    const name = nameOf(tenant)
    const { hash, seq } = links.at(-1) ?? after
    const [moved] = after.seq === 0
      ? yield* connection.executeValues(begin, [name, seq, hash])
      : yield* connection.executeValues(move, [seq, hash, name, after.seq, after.hash])
    if (moved === undefined) return yield* log.chainHead(tenant)
    for (const { body, fact = null, hash, seq } of links) {
      yield* connection.executeValues(insertLink, [name, seq, hash, body, fact])
    }
    for (const { createdAt, id, key, subject } of keys) {
      yield* connection.executeValues(insertKey, [name, id, nameOf(subject), key, createdAt])
    }
    return { seq, hash }
  })

  const log: AuditLog["Service"] = makeAuditLog(
    yield* SqlClient.SqlClient,
    unavailable,
    (appends) =>
      writer.write((connection) => Effect.forEach(appends, (append) => appendOne(connection, append))).pipe(
        // One of the facts is entered: nothing was appended to any chain.
        Effect.catchIf(
          (error) => error._tag === "SqlError" && isTaken(error),
          () => Effect.forEach(appends, ({ tenant }) => log.chainHead(tenant))
        ),
        unavailable("audit: append")
      )
  )
  return log
})

/**
 * Creates the tables when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerLog: Layer.Layer<AuditLog, MigrationError | SqlError, SqlClient.SqlClient> = Layer.effect(
  AuditLog,
  makeLog
).pipe(Layer.provide([migrations.layer, SqliteWriter.layer]))

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
  freshLayer(Layer.provide(layerNoClient, SqliteClient.layer(options)))

// texts

const begin = "INSERT INTO audit_chains (tenant, seq, hash) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING seq"

const move = "UPDATE audit_chains SET seq = ?, hash = ? WHERE tenant = ? AND seq = ? AND hash = ? RETURNING seq"

const insertLink = "INSERT INTO audit (tenant, seq, hash, body, fact) VALUES (?, ?, ?, ?, ?)"

const insertKey = "INSERT INTO audit_keys (tenant, id, subject, key, created_at) VALUES (?, ?, ?, ?, ?)"
