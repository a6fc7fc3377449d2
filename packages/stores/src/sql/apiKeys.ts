// The store of API keys and disabled accounts for both SQL databases.
import { ApiKey, ApiKeyStore } from "@fastagentic/core/door/ApiKeys"
import { Effect, Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { withFacts } from "./facts.ts"
import { identityOf } from "./runReads.ts"
import type { Unavailable } from "./unavailable.ts"

/**
 * API keys in SQL that SQLite and PostgreSQL share; their names for the smaller of two values differ, so it is a CASE.
 */
export const makeApiKeys = (sql: SqlClient, unavailable: Unavailable): ApiKeyStore["Service"] => {
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

    insert: (key, facts) => {
      const inserted = sql`
        INSERT INTO api_keys (prefix, hash, id, tenant, scopes, roles, created_at, expires_at, revoked_at, last_used_at)
        VALUES (${key.prefix}, ${key.hash}, ${key.id}, ${key.tenant}, ${JSON.stringify(key.scopes)},
          ${JSON.stringify(key.roles)}, ${key.createdAt}, ${key.expiresAt ?? null}, ${key.revokedAt ?? null},
          ${key.lastUsedAt ?? null}) RETURNING prefix`
      return withFacts(sql, facts, inserted).pipe(Effect.asVoid, unavailable("insert API key"))
    },

    revoke: (prefix, at, facts) => {
      const revoked = sql`
        UPDATE api_keys SET revoked_at = CASE WHEN revoked_at < ${at} THEN revoked_at ELSE ${at} END
        WHERE prefix = ${prefix} RETURNING prefix`
      return withFacts(sql, facts, revoked).pipe(unavailable("revoke API key"))
    },

    used: (prefix, at) =>
      sql`UPDATE api_keys SET last_used_at = ${at} WHERE prefix = ${prefix}`.pipe(
        Effect.asVoid,
        unavailable("use API key")
      ),

    list: sql`${keys} ORDER BY created_at, prefix`.pipe(
      Effect.flatMap(decodeRows),
      Effect.map((rows) => rows.map(toKey)),
      unavailable("list API keys")
    ),

    disable: ({ id, tenant }, at, facts) => {
      const disabled = sql`
        INSERT INTO disabled_accounts (tenant, id, at) VALUES (${tenant}, ${id}, ${at})
        ON CONFLICT (tenant, id) DO NOTHING RETURNING id`
      return withFacts(sql, facts, disabled).pipe(unavailable("disable account"))
    },

    enable: ({ id, tenant }, facts) => {
      const enabled = sql`DELETE FROM disabled_accounts WHERE tenant = ${tenant} AND id = ${id} RETURNING id`
      return withFacts(sql, facts, enabled).pipe(unavailable("enable account"))
    },

    outbox: identityOf(sql).pipe(unavailable("identity of the store")),

    isDisabled: ({ id, tenant }) =>
      sql`SELECT 1 FROM disabled_accounts WHERE tenant = ${tenant} AND id = ${id}`.pipe(
        Effect.map((rows) => rows.length > 0),
        unavailable("find disabled account")
      ),

    disabled: sql`SELECT tenant, id, at FROM disabled_accounts ORDER BY at, tenant, id`.pipe(
      Effect.flatMap(decodeAccounts),
      Effect.map((rows) => rows.map(({ at, id, tenant }) => ({ tenant, id, at: Number(at) }))),
      unavailable("list disabled accounts")
    )
  })
}

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

const decodeAccounts = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ tenant: Schema.String, id: Schema.String, at: Time }))
)

const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))

const toKey = ({ createdAt, expiresAt, lastUsedAt, revokedAt, ...rest }: typeof Row.Type) =>
  new ApiKey({
    ...rest,
    createdAt: Number(createdAt),
    ...(expiresAt === null ? {} : { expiresAt: Number(expiresAt) }),
    ...(revokedAt === null ? {} : { revokedAt: Number(revokedAt) }),
    ...(lastUsedAt === null ? {} : { lastUsedAt: Number(lastUsedAt) })
  })
