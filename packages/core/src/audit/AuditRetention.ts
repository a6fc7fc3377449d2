/**
 * Old entries leave from the front of a chain; the cut is kept as a head, where verification starts from then on.
 *
 * @since 0.1.0
 */
import { Clock, Config, type Duration, Effect, Layer, Option } from "effect"
import * as Dur from "effect/Duration"
import type { StoreUnavailable } from "../run/RunError.ts"
import { AuditLog, type ChainHead } from "./AuditLog.ts"
import { AuditSigner } from "./AuditSigner.ts"
import { decodeBody } from "./internal/auditBody.ts"
import { tenantsOf } from "./internal/auditIndex.ts"
import { KEY_LIFE } from "./internal/auditWriter.ts"

const PAGE = 1_000
const DAY = 86_400_000

/**
 * Cuts off what a tenant's audit log has from before a time, and says how far. It stops at the first entry that is younger,
 * and at one that cannot be read.
 *
 * @category combinators
 * @since 0.1.0
 */
export const cut = Effect.fn("AuditRetention.cut")(function*(
  tenant: string,
  before: number
): Effect.fn.Return<ChainHead | undefined, StoreUnavailable, AuditLog | AuditSigner> {
  const log = yield* AuditLog
  const signer = yield* AuditSigner
  let last: ChainHead | undefined
  scan: while (true) {
    const after = last?.seq ?? 0
    const links = yield* log.links({ tenant, after, before: Number.MAX_SAFE_INTEGER, order: "oldest", limit: PAGE })
    for (const { body, hash, seq } of links) {
      const at = yield* Effect.orElseSucceed(Effect.map(decodeBody(body), ({ at }) => at), () => Infinity)
      if (at >= before) break scan
      last = { seq, hash }
    }
    if (links.length < PAGE) break
  }
  if (last === undefined) return undefined
  const head = yield* signer.sign(tenant, { kind: "cut", ...last, at: yield* Clock.currentTimeMillis })
  // Clocks of nodes differ, by less than a day.
  yield* log.cut(tenant, head, before - KEY_LIFE - DAY)
  return last
})

/**
 * Cuts off what is older than this, of every tenant.
 *
 * @category combinators
 * @since 0.1.0
 */
export const cutAll = Effect.fn("AuditRetention.cutAll")(function*(keep: Duration.Input): Effect.fn.Return<
  ReadonlyArray<{ readonly tenant: string; readonly place: ChainHead }>,
  StoreUnavailable,
  AuditLog | AuditSigner
> {
  const log = yield* AuditLog
  const before = (yield* Clock.currentTimeMillis) - Dur.toMillis(keep)
  const done: Array<{ readonly tenant: string; readonly place: ChainHead }> = []
  for (const tenant of yield* tenantsOf(log)) {
    const place = yield* cut(tenant, before)
    if (place !== undefined) done.push({ tenant, place })
  }
  return done
})

/** Every ten minutes, when `FASTAGENTIC_AUDIT_RETENTION` says how long to keep. @category layers @since 0.1.0 */
export const layerConfig: Layer.Layer<never, Config.ConfigError, AuditLog | AuditSigner> = Layer.unwrap(
  Effect.map(
    Config.option(Config.Duration("FASTAGENTIC_AUDIT_RETENTION")),
    Option.match({
      onNone: () => Layer.empty,
      onSome: (keep) =>
        Layer.effectDiscard(Effect.forkScoped(Effect.forever(
          Effect.sleep("10 minutes").pipe(
            Effect.andThen(cutAll(keep)),
            Effect.catchCause((cause) => Effect.logError("The audit log could not be cut", cause))
          )
        )))
    })
  )
)
