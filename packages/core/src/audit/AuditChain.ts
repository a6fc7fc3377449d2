/**
 * The audit log over a log: each entry carries the hash of everything before it in its tenant, who acted is sealed
 * with a key that can be destroyed, and heads of the chain are signed.
 *
 * @since 0.1.0
 */
import { Clock, type Config, Effect, Layer } from "effect"
import { Aead } from "effect/crypto/Aead"
import { Digest } from "effect/crypto/Digest"
import type { Signature } from "effect/crypto/Signature"
import { StoreUnavailable } from "../run/RunError.ts"
import { Audit } from "./Audit.ts"
import { AuditLog } from "./AuditLog.ts"
import * as AuditRetention from "./AuditRetention.ts"
import * as AuditSigner from "./AuditSigner.ts"
import { unseal } from "./internal/auditBody.ts"
import { keysIn } from "./internal/auditKeys.ts"
import { makeWriter } from "./internal/auditWriter.ts"

/** The parts of `effect/crypto` that a chain is made of. @category models @since 0.1.0 */
export type Crypto = Aead | Digest | Signature

/**
 * Writes whatever waits in one go, and signs a head after 256 entries of a tenant, after a minute, and when the scope
 * closes.
 *
 * **Gotchas**
 *
 * A key is remembered for a minute: what another node writes within a minute of a redaction is unreadable as well.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const log = yield* AuditLog
  const clock = yield* Effect.clockWith(Effect.succeed)
  const crypto = yield* Effect.context<Aead | Digest>()
  const writer = yield* makeWriter(log, yield* AuditSigner.AuditSigner, () => clock.currentTimeMillisUnsafe())

  return Audit.of({
    record: (entry) => Effect.orDie(writer.record(entry)),
    enter: writer.enter,
    page: Effect.fnUntraced(function*({ after, before, limit, tenant }) {
      const links = yield* log.links({
        tenant,
        after: after ?? 0,
        before: before ?? Number.MAX_SAFE_INTEGER,
        order: after === undefined ? "newest" : "oldest",
        limit
      })
      const keys = yield* keysIn(log, tenant, links)
      return yield* Effect.forEach(links, (link) => unseal(link, keys)).pipe(
        Effect.mapError((cause) => new StoreUnavailable({ operation: "read the audit log", cause })),
        Effect.provideContext(crypto)
      )
    }),
    redact: Effect.fnUntraced(function*({ by, principal, tenant, traceId }) {
      const keys = yield* log.keysOf(tenant, principal)
      const at = yield* Clock.currentTimeMillis
      // First the entry, then the deed: a key that is gone without an entry looks like tampering.
      for (const { id } of keys) {
        const fields = { action: "redact", target: `principal/${id}`, decision: "allowed" }
        yield* writer.record({ at, tenant, principal: by, ...fields, traceId })
      }
      writer.forget(tenant, principal)
      yield* log.destroyKeys(tenant, principal)
      return keys.length
    })
  })
})

/**
 * The audit log over whatever log is there. `FASTAGENTIC_AUDIT_KEY` is the private key that heads are signed with,
 * `FASTAGENTIC_AUDIT_RETENTION` ("365 days") how long entries are kept.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Audit, Config.ConfigError, AuditLog | Crypto> = Layer.effect(Audit, make).pipe(
  Layer.merge(AuditRetention.layerConfig),
  Layer.provide(AuditSigner.layerConfig)
)
