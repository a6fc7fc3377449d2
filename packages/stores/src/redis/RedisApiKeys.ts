/**
 * API keys in Redis: one hash for each key, and a set of their prefixes; disabled accounts are one hash.
 *
 * @since 0.1.0
 */
import { type Account, ApiKey, ApiKeyStore } from "@fastagentic/core/door/ApiKeys"
import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { Effect, Layer, Schema } from "effect"
import * as Redis from "effect/persistence/Redis"
import { identityOf } from "./internal/identity.ts"
import * as Keys from "./internal/keys.ts"
import { outbox, prelude, script } from "./internal/script.ts"
import { factsOf } from "./internal/writes.ts"
import * as RedisClient from "./RedisClient.ts"

/**
 * Keys on a given `RedisClient`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<ApiKeyStore["Service"], never, RedisClient.RedisClient> = Effect.map(
  RedisClient.RedisClient,
  ({ prefix, redis }) => {
    const index = `${prefix}api_keys`
    const accounts = `${prefix}disabled_accounts`
    const hash = (key: string) => `${prefix}api_key:${JSON.stringify(key)}`
    const use = redis.eval(useScript)
    const [insert, revoke] = [redis.eval(insertScript), redis.eval(revokeScript)]
    const [disable, enable] = [redis.eval(disableScript), redis.eval(enableScript)]
    const find = (operation: string, key: string) =>
      redis.send("HGETALL", hash(key)).pipe(RedisClient.answered(operation, decoded))

    return ApiKeyStore.of({
      find: (key) => find("find API key", key),

      insert: ({ lastUsedAt, revokedAt, ...key }, facts) =>
        insert(prefix, [
          index,
          hash(key.prefix),
          key.prefix,
          ...Keys.list([
            "key",
            JSON.stringify(key),
            ...(revokedAt === undefined ? [] : ["revokedAt", `${revokedAt}`]),
            ...(lastUsedAt === undefined ? [] : ["lastUsedAt", `${lastUsedAt}`])
          ]),
          ...Keys.list(factsOf(facts))
        ]).pipe(
          RedisClient.unavailable("insert API key"),
          Effect.flatMap((inserted) =>
            inserted === 1
              ? Effect.void
              : Effect.fail(new StoreUnavailable({ operation: "insert API key: there is one with this prefix" }))
          )
        ),

      revoke: (key, at, facts) =>
        Effect.map(
          RedisClient.unavailable("revoke API key")(
            revoke(prefix, [hash(key), `${at}`, ...Keys.list(factsOf(facts))])
          ),
          (revoked) => revoked === 1
        ),

      used: (key, at) => Effect.asVoid(RedisClient.unavailable("use API key")(use(hash(key), `${at}`))),

      list: redis.send("SMEMBERS", index).pipe(
        RedisClient.answered("list API keys", decodePrefixes),
        Effect.flatMap(Effect.forEach((key) => find("list API keys", key), { concurrency: 100 })),
        Effect.map((keys) => keys.flatMap((key) => key === undefined ? [] : [key]).sort(byAge))
      ),

      disable: (account, at, facts) =>
        Effect.map(
          RedisClient.unavailable("disable account")(
            disable(prefix, [accounts, nameOf(account), `${at}`, ...Keys.list(factsOf(facts))])
          ),
          (disabled) => disabled === 1
        ),

      enable: (account, facts) =>
        Effect.map(
          RedisClient.unavailable("enable account")(
            enable(prefix, [accounts, nameOf(account), ...Keys.list(factsOf(facts))])
          ),
          (enabled) => enabled === 1
        ),

      outbox: identityOf({ prefix, redis }),

      isDisabled: (account) =>
        Effect.map(
          RedisClient.unavailable("find disabled account")(redis.send("HEXISTS", accounts, nameOf(account))),
          (found) => found === 1
        ),

      disabled: redis.send("HGETALL", accounts).pipe(
        RedisClient.answered("list disabled accounts", decodedAccounts),
        Effect.map((found) => found.sort((a, b) => a.at - b.at))
      )
    })
  }
)

/**
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<ApiKeyStore, never, RedisClient.RedisClient> = Layer.effect(ApiKeyStore, make)

const nameOf = ({ id, tenant }: Account) => JSON.stringify([tenant, id])

// scripts

const insertScript = script(`${prelude}${outbox}
  local index, key, name, fields, facts = take(), take(), take(), many(), many()
  if redis.call('EXISTS', key) == 1 then return 0 end
  if not keeps(facts) then return refused() end
  redis.call('HSET', key, unpack(fields))
  redis.call('SADD', index, name)
  note(facts)
  return 1
`)

/** The earlier of two times of revocation counts. */
const revokeScript = script(`${prelude}${outbox}
  local key, at, facts = take(), take(), many()
  if redis.call('EXISTS', key) == 0 then return 0 end
  if not keeps(facts) then return refused() end
  local before = redis.call('HGET', key, 'revokedAt')
  if not before or tonumber(at) < tonumber(before) then redis.call('HSET', key, 'revokedAt', at) end
  note(facts)
  return 1
`)

/** Writes the time of a use into a key, if the key exists. */
const useScript = Redis.script((key: string, at: string) => [key, at], {
  numberOfKeys: 1,
  lua: `
    if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
    redis.call('HSET', KEYS[1], 'lastUsedAt', ARGV[1])
    return 1
  `
}).withReturnType<unknown>()

const disableScript = script(`${prelude}${outbox}
  local accounts, account, at, facts = take(), take(), take(), many()
  if not keeps(facts) then return refused() end
  local disabled = redis.call('HSETNX', accounts, account, at)
  if disabled == 1 then note(facts) end
  return disabled
`)

const enableScript = script(`${prelude}${outbox}
  local accounts, account, facts = take(), take(), many()
  if redis.call('HEXISTS', accounts, account) == 0 then return 0 end
  if not keeps(facts) then return refused() end
  note(facts)
  return redis.call('HDEL', accounts, account)
`)

// answers

const { lastUsedAt: _lastUsedAt, revokedAt: _revokedAt, ...fixed } = ApiKey.fields
const Time = Schema.optionalKey(Schema.FiniteFromString)

const decodePrefixes = Schema.decodeUnknownEffect(Schema.Array(Schema.String))
const decodeTexts = Schema.decodeUnknownEffect(Schema.Array(Schema.String))
const decodeHash = Schema.decodeUnknownEffect(Schema.Struct({
  key: Schema.fromJsonString(Schema.Struct(fixed)),
  revokedAt: Time,
  lastUsedAt: Time
}))

const decodeName = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Tuple([Schema.String, Schema.String])))

/** Accounts and the times at which they were disabled, in turn. */
const decodedAccounts = (reply: unknown) =>
  Effect.flatMap(
    decodeTexts(reply),
    (texts) =>
      Effect.forEach(texts.filter((_, at) => at % 2 === 0), (name, index) =>
        Effect.map(decodeName(name), ([tenant, id]) => ({ tenant, id, at: Number(texts[2 * index + 1]) })))
  )

/** A hash comes as its fields and values in turn. */
const decoded = (reply: unknown): Effect.Effect<ApiKey | undefined, Schema.SchemaError> =>
  decodeTexts(reply).pipe(
    Effect.flatMap((texts) =>
      texts.length === 0
        ? Effect.undefined
        : decodeHash(Object.fromEntries(texts.flatMap((text, at) => at % 2 === 0 ? [[text, texts[at + 1]]] : [])))
    ),
    Effect.map((hash) => hash === undefined ? undefined : new ApiKey({ ...hash.key, ...times(hash) }))
  )

const times = ({ lastUsedAt, revokedAt }: { readonly lastUsedAt?: number; readonly revokedAt?: number }) => ({
  ...(revokedAt === undefined ? {} : { revokedAt }),
  ...(lastUsedAt === undefined ? {} : { lastUsedAt })
})

const byAge = (one: ApiKey, other: ApiKey) => one.createdAt - other.createdAt || (one.prefix < other.prefix ? -1 : 1)
