/**
 * `fastagentic keys`: API keys in a store.
 *
 * @since 0.1.0
 */
import { ApiKeys } from "@fastagentic/core"
import { Clock, Console, Effect, Layer, Option, Redacted, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as DurationFlag from "./DurationFlag.ts"
import * as Output from "./internal/output.ts"
import * as StoreFlags from "./internal/storeFlags.ts"
import * as Store from "./Store.ts"

/** A memory store cannot keep keys. @category errors @since 0.1.0 */
export class NothingLasts extends Schema.TaggedError<NothingLasts>()("NothingLasts", { store: Schema.String }) {
  override get message() {
    return `--store ${this.store}: keys are of use only in a store that lasts`
  }
}

const store = StoreFlags.flag("store")

/** The name of the commands in the audit log. */
const by = { by: "cli" }

const prefix = Argument.String("prefix").pipe(Argument.withDescription("As `keys list` shows it: fak_<prefix>_…"))
const words = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.atLeast(0))
const time = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)

const durationOf = (flag: string, text: Option.Option<string>) =>
  Option.isNone(text) ? Effect.undefined : DurationFlag.parse(flag, text.value)

const within = <A, E>({ layer }: Store.Store, effect: Effect.Effect<A, E, ApiKeys.Kept>) =>
  Effect.scoped(Effect.flatMap(Layer.build(layer), (context) => Effect.provideContext(effect, context)))

const inStore = <A, E>(value: string, effect: Effect.Effect<A, E, ApiKeys.Kept>) =>
  Effect.flatMap(Store.existing(value), (store) => within(store, effect))

/** A key as it may be printed: the store keeps a hash, which is no one's business. */
const viewOf = (
  { createdAt, expiresAt, id, lastUsedAt, prefix, revokedAt, roles, scopes, tenant }: ApiKeys.ApiKey
) => ({
  prefix,
  id,
  tenant,
  scopes,
  roles,
  createdAt,
  expiresAt,
  lastUsedAt,
  revokedAt
})

/** Prints the secret, which is shown only once. */
const show = ({ key, secret }: ApiKeys.Issued, json: boolean) =>
  Effect.andThen(
    Console.error(`This is the only time the key is shown. ${describe(key)}`),
    Output.print(json, { ...viewOf(key), secret: Redacted.value(secret) }, ({ secret }) => secret)
  )

const describe = (key: ApiKeys.ApiKey) =>
  [
    `id=${key.id}`,
    `tenant=${key.tenant}`,
    `scopes=${key.scopes.join(",") || "-"}`,
    `roles=${key.roles.join(",") || "-"}`,
    `expires=${key.expiresAt === undefined ? "never" : date(key.expiresAt)}`
  ].join(" ")

const date = (millis: number) => new Date(millis).toISOString()

const stateOf = ({ expiresAt = Infinity, revokedAt = Infinity }: ApiKeys.ApiKey, now: number) => {
  if (revokedAt <= now) return "revoked"
  if (expiresAt <= now) return "expired"
  return revokedAt === Infinity ? "active" : "rotated"
}

const create = Command.make(
  "create",
  {
    id: Argument.String("id").pipe(Argument.withDescription("Whom the key speaks for: runs belong to this id")),
    store,
    json: Output.json,
    tenant: Flag.String("tenant").pipe(Flag.withDescription("Default \"default\""), Flag.withDefault("default")),
    scopes: words("scope", "A scope such as orders:read or orders:*; may be given several times"),
    roles: words("role", "A role; may be given several times"),
    expires: time("expires", "For how long the key is valid, such as \"90 days\"; for ever unless given")
  },
  Effect.fnUntraced(function*({ expires, id, json, roles, scopes, store, tenant }) {
    const expiresIn = yield* durationOf("expires", expires)
    // Keys can be created before the server that requires them starts for the first time.
    const opened = yield* Store.parse(store)
    if (!opened.lasts) return yield* new NothingLasts({ store: opened.shown })
    yield* show(yield* within(opened, ApiKeys.create({ id, tenant, scopes, roles, expiresIn }, by)), json)
  })
).pipe(Command.withDescription("Make a key and print it once"))

const list = Command.make(
  "list",
  { store, json: Output.json },
  Effect.fnUntraced(function*({ json, store }) {
    const keys = yield* inStore(store, ApiKeys.ApiKeyStore.use((keys) => keys.list))
    const now = yield* Clock.currentTimeMillis
    for (const key of keys) {
      const used = key.lastUsedAt === undefined ? "never" : date(key.lastUsedAt)
      const state = stateOf(key, now)
      yield* Output.print(
        json,
        { ...viewOf(key), state },
        () => `${key.prefix} ${state} ${describe(key)} used=${used}`
      )
    }
  })
).pipe(Command.withDescription("List the keys, without their secrets"))

const revoke = Command.make(
  "revoke",
  { prefix, store, json: Output.json },
  ({ json, prefix, store }) =>
    Effect.andThen(
      inStore(store, ApiKeys.revoke(prefix, by)),
      json ? Output.print(json, { prefix, state: "revoked" }, String) : Effect.void
    )
).pipe(Command.withDescription("Make a key invalid at once"))

const rotate = Command.make(
  "rotate",
  {
    prefix,
    store,
    json: Output.json,
    overlap: time("overlap", "For how long the old key stays valid, such as \"1 day\"; not at all unless given")
  },
  Effect.fnUntraced(function*({ json, overlap, prefix, store }) {
    const kept = yield* durationOf("overlap", overlap)
    yield* show(yield* inStore(store, ApiKeys.rotate(prefix, { overlap: kept, ...by })), json)
  })
).pipe(Command.withDescription("Replace a key by a new one with the same rights and print that once"))

/** @category commands @since 0.1.0 */
export const command = Command.make("keys").pipe(
  Command.withDescription("API keys in a store. A SQLite file belongs to one process: stop the server first"),
  Command.withSubcommands([create, list, revoke, rotate])
)
