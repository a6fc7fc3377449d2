/**
 * API keys: long random secrets that are kept as hashes, found by their prefix, scoped, expiring and revocable.
 *
 * @since 0.1.0
 */
import { Clock, Context, Duration, Effect, Layer, Redacted, Schema } from "effect"
import type { Audit } from "../audit/Audit.ts"
import { randomHex } from "../base/internal/randomBytes.ts"
import { sameSecret, sha256 } from "../base/internal/secrets.ts"
import { Principal } from "../run/Principal.ts"
import { StoreUnavailable, Unauthenticated } from "../run/RunError.ts"
import type { Fact, RunStore } from "../store/RunStore.ts"
import { Auth, invalid, unknown, valid } from "./Auth.ts"
import { createdOf, revokedOf, withKeyEntry } from "./internal/keyEntries.ts"

/**
 * A key as it is kept: `hash` is the SHA-256 of the whole key, `id` the principal it speaks for. Times are Unix
 * milliseconds; `revokedAt` may lie ahead.
 *
 * @category models
 * @since 0.1.0
 */
export class ApiKey extends Schema.Class<ApiKey>("@fastagentic/core/door/ApiKeys/ApiKey")({
  prefix: Schema.String,
  hash: Schema.String,
  id: Schema.String,
  tenant: Schema.String,
  scopes: Schema.Array(Schema.String),
  roles: Schema.Array(Schema.String),
  createdAt: Schema.Int,
  expiresAt: Schema.optionalKey(Schema.Int),
  revokedAt: Schema.optionalKey(Schema.Int),
  lastUsedAt: Schema.optionalKey(Schema.Int)
}) {}

/** An account that was disabled, whatever it shows. @category models @since 0.1.0 */
export interface DisabledAccount extends Account {
  readonly at: number
}

/** A principal of a tenant. @category models @since 0.1.0 */
export interface Account {
  readonly tenant: string
  readonly id: string
}

/** The port to where keys and disabled accounts are kept. @category services @since 0.1.0 */
export class ApiKeyStore extends Context.Service<ApiKeyStore, {
  readonly find: (prefix: string) => Effect.Effect<ApiKey | undefined, StoreUnavailable>
  /** Fails when there is a key with this prefix. */
  readonly insert: (key: ApiKey, facts?: ReadonlyArray<Fact>) => Effect.Effect<void, StoreUnavailable>
  /** Says whether there is such a key; of two revocations the earlier one counts. */
  readonly revoke: (
    prefix: string,
    at: number,
    facts?: ReadonlyArray<Fact>
  ) => Effect.Effect<boolean, StoreUnavailable>
  readonly used: (prefix: string, at: number) => Effect.Effect<void, StoreUnavailable>
  /** Oldest first. */
  readonly list: Effect.Effect<ReadonlyArray<ApiKey>, StoreUnavailable>
  /** Disables an account, and says whether it was enabled; one that is disabled stays so from the first time on. */
  readonly disable: (
    account: Account,
    at: number,
    facts?: ReadonlyArray<Fact>
  ) => Effect.Effect<boolean, StoreUnavailable>
  /** Says whether the account was disabled. */
  readonly enable: (account: Account, facts?: ReadonlyArray<Fact>) => Effect.Effect<boolean, StoreUnavailable>
  /** The identity of the run store in whose outbox facts are kept with their change; no store gets facts without it. */
  readonly outbox?: Effect.Effect<string, StoreUnavailable>
  readonly isDisabled: (account: Account) => Effect.Effect<boolean, StoreUnavailable>
  /** The first to be disabled first. */
  readonly disabled: Effect.Effect<ReadonlyArray<DisabledAccount>, StoreUnavailable>
}>()("@fastagentic/core/door/ApiKeys/ApiKeyStore") {
  static readonly layerMemory: Layer.Layer<ApiKeyStore> = Layer.sync(ApiKeyStore, () => makeMemory())
}

/** Keys and accounts of this process. @category constructors @since 0.1.0 */
export const makeMemory = (): ApiKeyStore["Service"] => {
  const keys = new Map<string, ApiKey>()
  const accounts = new Map<string, DisabledAccount>()
  const change = (prefix: string, fields: (key: ApiKey) => Partial<ApiKey>) =>
    Effect.sync(() => {
      const key = keys.get(prefix)
      if (key !== undefined) keys.set(prefix, new ApiKey({ ...key, ...fields(key) }))
      return key !== undefined
    })
  return ApiKeyStore.of({
    find: (prefix) => Effect.sync(() => keys.get(prefix)),
    insert: (key) =>
      Effect.suspend(() => {
        if (keys.has(key.prefix)) return Effect.fail(new StoreUnavailable({ operation: "insert api key" }))
        keys.set(key.prefix, key)
        return Effect.void
      }),
    revoke: (prefix, at) => change(prefix, ({ revokedAt = at }) => ({ revokedAt: Math.min(revokedAt, at) })),
    used: (prefix, at) => Effect.asVoid(change(prefix, () => ({ lastUsedAt: at }))),
    list: Effect.sync(() => [...keys.values()].sort((a, b) => a.createdAt - b.createdAt)),
    disable: ({ id, tenant }, at) =>
      Effect.sync(() => {
        const name = nameOf({ id, tenant })
        if (accounts.has(name)) return false
        accounts.set(name, { id, tenant, at })
        return true
      }),
    enable: (account) => Effect.sync(() => accounts.delete(nameOf(account))),
    isDisabled: (account) => Effect.sync(() => accounts.has(nameOf(account))),
    disabled: Effect.sync(() => [...accounts.values()].sort((a, b) => a.at - b.at))
  })
}

const nameOf = ({ id, tenant }: Account) => JSON.stringify([tenant, id])

/** No key has this prefix. @category errors @since 0.1.0 */
export class ApiKeyNotFound extends Schema.TaggedError<ApiKeyNotFound>()("ApiKeyNotFound", { prefix: Schema.String }) {
  override get message() {
    return `there is no API key ${this.prefix}`
  }
}

/** The principal of a key, and its rights. @category models @since 0.1.0 */
export interface Grant {
  readonly id: string
  readonly tenant: string
  readonly scopes?: ReadonlyArray<string>
  readonly roles?: ReadonlyArray<string>
  /** Default: never. */
  readonly expiresIn?: Duration.Input | undefined
}

/** A new key; `secret` is shown once and kept nowhere. @category models @since 0.1.0 */
export interface Issued {
  readonly secret: Redacted.Redacted<string>
  readonly key: ApiKey
}

/** Whether a text has the form of a key. @category predicates @since 0.1.0 */
export const isApiKey = (text: string): boolean => prefixOf(text) !== undefined

const prefixOf = (text: string) => /^fak_([0-9a-f]{12})_[0-9a-f]{64}$/u.exec(text)?.[1]

/** The one who makes or revokes a key, as the audit log names it; "app" unless given. @category models @since 0.1.0 */
export interface By {
  readonly by?: string | undefined
}

/** The places that a change of keys is written to; the layer of every store has all of them. @category models @since 0.1.0 */
export type Kept = ApiKeyStore | Audit | RunStore

/**
 * Makes a key, keeps its hash, and writes it down in the audit log.
 *
 * @category constructors
 * @since 0.1.0
 */
export const create = Effect.fn("ApiKeys.create")(function*(grant: Grant, options: By = {}): Effect.fn.Return<
  Issued,
  StoreUnavailable,
  Kept
> {
  const store = yield* ApiKeyStore
  const createdAt = yield* Clock.currentTimeMillis
  const lifetime = Duration.toMillis(grant.expiresIn ?? Duration.infinity)
  const prefix = randomHex(6)
  const secret = `fak_${prefix}_${randomHex(32)}`
  const key = new ApiKey({
    prefix,
    hash: yield* sha256(secret),
    id: grant.id,
    tenant: grant.tenant,
    scopes: grant.scopes ?? [],
    roles: grant.roles ?? [],
    createdAt,
    ...(Number.isFinite(lifetime) ? { expiresAt: Math.round(createdAt + lifetime) } : {})
  })
  yield* withKeyEntry(
    store,
    createdOf(key, options.by),
    (facts) => Effect.as(store.insert(key, facts), true)
  )
  return { secret: Redacted.make(secret), key }
})

/** Revokes a key at once. @category combinators @since 0.1.0 */
export const revoke = Effect.fn("ApiKeys.revoke")(function*(prefix: string, options: By = {}): Effect.fn.Return<
  void,
  ApiKeyNotFound | StoreUnavailable,
  Kept
> {
  const store = yield* ApiKeyStore
  const key = yield* store.find(prefix)
  if (key === undefined) return yield* new ApiKeyNotFound({ prefix })
  const now = yield* Clock.currentTimeMillis
  yield* withKeyEntry(store, revokedOf(key, now, options.by), (facts) => store.revoke(prefix, now, facts))
})

/**
 * A new key for the same principal with the same rights and lifetime; the old one is valid for `overlap` more, by
 * default not at all.
 *
 * @category combinators
 * @since 0.1.0
 */
export const rotate = Effect.fn("ApiKeys.rotate")(function*(
  prefix: string,
  options: By & { readonly overlap?: Duration.Input | undefined } = {}
): Effect.fn.Return<Issued, ApiKeyNotFound | StoreUnavailable, Kept> {
  const store = yield* ApiKeyStore
  const now = yield* Clock.currentTimeMillis
  const old = yield* store.find(prefix)
  if (old === undefined || isOver(old, now)) return yield* new ApiKeyNotFound({ prefix })
  const issued = yield* create({
    ...old,
    expiresIn: old.expiresAt === undefined ? undefined : old.expiresAt - old.createdAt
  }, options)
  const until = Math.round(now + Duration.toMillis(options.overlap ?? 0))
  yield* withKeyEntry(store, revokedOf(old, until, options.by), (facts) => store.revoke(prefix, until, facts))
  return issued
})

const isOver = ({ expiresAt = Infinity, revokedAt = Infinity }: ApiKey, now: number) =>
  expiresAt <= now || revokedAt <= now

/** How often the use of a key is written down, in milliseconds. */
const USE_INTERVAL = 60_000

/**
 * Callers show a key as `X-API-Key` or `Authorization: Bearer …`. The store is asked on every call, so a revocation
 * holds from the next call on.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Auth, never, ApiKeyStore> = Layer.effect(
  Auth,
  Effect.gen(function*() {
    const store = yield* ApiKeyStore

    const check = Effect.fnUntraced(function*(shown: string) {
      const prefix = prefixOf(shown)
      if (prefix === undefined) return yield* refused("the credentials are not valid")
      const key = yield* store.find(prefix)
      // A prefix that nobody has costs what a wrong secret costs.
      const same = sameSecret(key?.hash ?? "0".repeat(64), yield* sha256(shown))
      if (key === undefined || !same) return yield* refused("the credentials are not valid")
      const now = yield* Clock.currentTimeMillis
      if (isOver(key, now)) return yield* refused("the API key has expired or was revoked")
      if (now - (key.lastUsedAt ?? 0) >= USE_INTERVAL) yield* Effect.ignore(store.used(prefix, now))
      const { id, roles, scopes, tenant } = key
      return new Principal({ id, tenant, scopes, roles, claims: { key: prefix } })
    })

    return {
      open: false,
      schemes: ["bearer", "apiKey"],
      authenticate: ({ apiKey, bearer }) => {
        const shown = apiKey ?? bearer
        return shown === undefined ? refused("credentials are required") : check(Redacted.value(shown))
      },
      revalidate: Effect.fnUntraced(function*({ principal: { claims: { key: prefix }, id, tenant } }) {
        if (typeof prefix !== "string") return unknown
        const key = yield* store.find(prefix)
        if (key === undefined) return invalid("the API key does not exist any more")
        if (key.id !== id || key.tenant !== tenant) return unknown
        return isOver(key, yield* Clock.currentTimeMillis) ? invalid("the API key has expired or was revoked") : valid
      })
    }
  })
)

const refused = (reason: string) => Effect.fail(new Unauthenticated({ reason }))
