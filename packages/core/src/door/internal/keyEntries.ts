// The entries of the audit log about API keys: ApiKeys.ts makes and revokes keys with them. They are in the commit of their
// change where the keys are in the database of the run store, and right after it elsewhere. An entry never has the secret.
import { Clock, Effect } from "effect"
import { Audit, type Entry } from "../../audit/Audit.ts"
import { AuditOutbox } from "../../audit/internal/auditOutbox.ts"
import { withEntry } from "../../audit/internal/withEntry.ts"
import type { StoreUnavailable } from "../../run/RunError.ts"
import { type Fact, RunStore } from "../../store/RunStore.ts"
import type { ApiKey, ApiKeyStore } from "../ApiKeys.ts"
import * as Caller from "../Caller.ts"

/** An entry without its time. */
type About = Omit<Entry, "at" | "traceId">

const aboutKey = ({ id, prefix, tenant }: ApiKey, by = "app") => ({
  tenant,
  principal: by,
  target: `key/${prefix}`,
  decision: "allowed",
  onBehalfOf: id
})

/** A key was made: the reason says what it may do, and until when. */
export const createdOf = (key: ApiKey, by?: string): About => ({
  ...aboutKey(key, by),
  action: "create",
  reason: [
    `scopes: ${key.scopes.join(" ") || "none"}`,
    `roles: ${key.roles.join(" ") || "none"}`,
    `expires: ${key.expiresAt === undefined ? "never" : dateOf(key.expiresAt)}`
  ].join(", ")
})

/** A key was revoked: the reason says when it becomes invalid. */
export const revokedOf = (key: ApiKey, until: number, by?: string): About => ({
  ...aboutKey(key, by),
  action: "revoke",
  reason: `invalid from ${dateOf(until)}`
})

const dateOf = (millis: number) => new Date(millis).toISOString()

/** Makes a change, with its entry; `change` says whether it was made. */
export const withKeyEntry = Effect.fnUntraced(function*<E>(
  store: ApiKeyStore["Service"],
  about: About,
  change: (facts: ReadonlyArray<Fact>) => Effect.Effect<boolean, E>
): Effect.fn.Return<boolean, E | StoreUnavailable, Audit | RunStore> {
  const runs = yield* RunStore
  const outbox = new AuditOutbox(runs, yield* Audit, yield* Effect.context<never>())
  const entry: Entry = { ...about, at: yield* Clock.currentTimeMillis, traceId: Caller.make("local").traceId }
  return yield* Effect.ensuring(withEntry({ outbox, runs, store }, entry, change), outbox.flush)
}, Effect.uninterruptible)
