/**
 * API keys in a SQLite database.
 *
 * @since 0.1.0
 */
import { ApiKey, ApiKeyStore } from "@fastagentic/core/ApiKeys"
import { StoreUnavailable } from "@fastagentic/core/RunError"
import { Effect, Layer, Schema } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as migrations from "./migrations.ts"
import * as SqliteClient from "./SqliteClient.ts"

/**
 * Keys on whatever `SqlClient` is there; the table has to exist.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<ApiKeyStore["Service"], never, SqlClient.SqlClient> = Effect.map(
  SqlClient.SqlClient,
  (sql) => {
    const keys = sql`
      SELECT prefix, hash, id, tenant, scopes, roles, created_at AS "createdAt", expires_at AS "expiresAt",
        revoked_at AS "revokedAt", last_used_at AS "lastUsedAt"
      FROM api_keys`

    return ApiKeyStore.of({
      find: (prefix) =>
        sql`${keys} WHERE prefix = ${prefix}`.pipe(
          Effect.flatMap(decodeRows),
          Effect.map(([row]) => row === undefined ? undefined : toKey(row)),
          unavailable("find API key")
        ),

      insert: (key) =>
        sql`
          INSERT INTO api_keys (prefix, hash, id, tenant, scopes, roles, created_at, expires_at, revoked_at, last_used_at)
          VALUES (${key.prefix}, ${key.hash}, ${key.id}, ${key.tenant}, ${JSON.stringify(key.scopes)},
            ${JSON.stringify(key.roles)}, ${key.createdAt}, ${key.expiresAt ?? null}, ${key.revokedAt ?? null},
            ${key.lastUsedAt ?? null})`.pipe(Effect.asVoid, unavailable("insert API key")),

      revoke: (prefix, at) =>
        sql`
          UPDATE api_keys SET revoked_at = MIN(COALESCE(revoked_at, ${at}), ${at}) WHERE prefix = ${prefix}
          RETURNING prefix`.pipe(Effect.map((rows) => rows.length > 0), unavailable("revoke API key")),

      used: (prefix, at) =>
        sql`UPDATE api_keys SET last_used_at = ${at} WHERE prefix = ${prefix}`.pipe(
          Effect.asVoid,
          unavailable("use API key")
        ),

      list: sql`${keys} ORDER BY created_at, prefix`.pipe(
        Effect.flatMap(decodeRows),
        Effect.map((rows) => rows.map(toKey)),
        unavailable("list API keys")
      )
    })
  }
)

/**
 * Creates the table when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<ApiKeyStore, MigrationError | SqlError, SqlClient.SqlClient> = Layer.effect(
  ApiKeyStore,
  make
).pipe(Layer.provide(migrations.layer))

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: SqliteClient.Options
): Layer.Layer<ApiKeyStore, MigrationError | SqlError | SqliteClient.SqliteLocked> =>
  Layer.provide(layerNoClient, SqliteClient.layer(options))

const unavailable = (operation: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.mapError(effect, (cause) => new StoreUnavailable({ operation, cause }))

const Time = Schema.NullOr(Schema.Union([Schema.Int, Schema.BigInt]))
const Words = Schema.fromJsonString(Schema.Array(Schema.String))

const Row = Schema.Struct({
  prefix: Schema.String,
  hash: Schema.String,
  id: Schema.String,
  tenant: Schema.String,
  scopes: Words,
  roles: Words,
  createdAt: Time,
  expiresAt: Time,
  revokedAt: Time,
  lastUsedAt: Time
})

const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))

const toKey = ({ createdAt, expiresAt, lastUsedAt, revokedAt, ...rest }: typeof Row.Type) =>
  new ApiKey({
    ...rest,
    createdAt: Number(createdAt),
    ...(expiresAt === null ? {} : { expiresAt: Number(expiresAt) }),
    ...(revokedAt === null ? {} : { revokedAt: Number(revokedAt) }),
    ...(lastUsedAt === null ? {} : { lastUsedAt: Number(lastUsedAt) })
  })
