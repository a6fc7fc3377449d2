/**
 * The last stage of the door: who did what, and what was decided.
 *
 * @since 0.1.0
 */
import { Clock, Context, Effect, Layer, Schema } from "effect"
import type { StoreUnavailable } from "../run/RunError.ts"

const optional = Schema.optionalKey

/**
 * One decision. `at` is Unix milliseconds; `rule` is what refused, `reason` what a person said, `costUsd` what a run
 * has cost as far as it is known, `onBehalfOf` the owner of the run when somebody else acts on it. With a `count` it stands for so many refusals, of which it is the last.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Entry = Schema.Struct({
  at: Schema.Finite,
  tenant: Schema.String,
  principal: Schema.String,
  action: Schema.String,
  target: Schema.String,
  decision: Schema.String,
  rule: optional(Schema.String),
  reason: optional(Schema.String),
  onBehalfOf: optional(Schema.String),
  costUsd: optional(Schema.Finite),
  count: optional(Schema.Int),
  runId: optional(Schema.String),
  traceId: Schema.String
})

/** @category models @since 0.1.0 */
export type Entry = typeof Entry.Type

/**
 * An entry about a change, which the store has kept with that change under `id` until it is in the audit log.
 *
 * @category models
 * @since 0.1.0
 */
export interface Noted {
  readonly id: string
  readonly entry: Entry
}

/**
 * An entry as it is read back: `seq` is gapless from 1 in its tenant, `hash` covers it and everything before it.
 *
 * `principal` is null once the key it was sealed with has been destroyed.
 *
 * @category models
 * @since 0.1.0
 */
export const Recorded = Schema.Struct({
  seq: Schema.Int,
  hash: optional(Schema.String),
  ...Entry.fields,
  principal: Schema.NullOr(Schema.String)
})

/** @category models @since 0.1.0 */
export type Recorded = typeof Recorded.Type

/**
 * A page of a tenant's audit log: with `after` the entries that follow that number, oldest first; otherwise those below
 * `before`, newest first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Query {
  readonly tenant: string
  readonly after?: number | undefined
  readonly before?: number | undefined
  readonly limit: number
}

/** The principal to forget, and the one who requested it. @category models @since 0.1.0 */
export interface Redaction {
  readonly tenant: string
  readonly principal: string
  readonly by: string
  readonly traceId: string
}

/** Append-only. @category services @since 0.1.0 */
export class Audit extends Context.Service<Audit, {
  /** Returns when the entry is committed; one that cannot be is a defect. */
  readonly record: (entry: Entry) => Effect.Effect<void>
  /**
   * Records entries that the run store has noted, each once: one whose id is in the log already is left out. Returns when
   * they are committed. `mayBeThere` says that they may have been entered before, by this process or another.
   *
   * A log without this method lives no longer than its process, so the stores keep nothing for it.
   */
  readonly enter?: (
    noted: ReadonlyArray<Noted>,
    mayBeThere: boolean
  ) => Effect.Effect<void, StoreUnavailable>
  readonly page: (query: Query) => Effect.Effect<ReadonlyArray<Recorded>, StoreUnavailable>
  /**
   * Destroys the keys of a principal: nobody can read any more who acted in its entries, which stay in their place. It
   * is an entry itself. Says how many keys there were.
   */
  readonly redact: (redaction: Redaction) => Effect.Effect<number, StoreUnavailable>
}>()("@fastagentic/core/audit/Audit") {}

/** Keeps the last 10,000 entries of this process, without a chain. @category layers @since 0.1.0 */
export const layerMemory: Layer.Layer<Audit> = Layer.sync(Audit, () => {
  const capacity = 10_000
  const ring: Array<Recorded> = []
  let next = 0
  const last = new Map<string, number>()

  const record = (entry: Entry) =>
    Effect.sync(() => {
      const seq = (last.get(entry.tenant) ?? 0) + 1
      last.set(entry.tenant, seq)
      ring[next] = { seq, ...entry }
      next = (next + 1) % capacity
    })

  const entriesOf = (tenant: string) =>
    [...ring.slice(next), ...ring.slice(0, next)].filter((entry) => entry.tenant === tenant)

  return {
    record,
    page: ({ after, before = Infinity, limit, tenant }) =>
      Effect.sync(() =>
        after === undefined
          ? entriesOf(tenant).filter(({ seq }) => seq < before).reverse().slice(0, limit)
          : entriesOf(tenant).filter(({ seq }) => seq > after && seq < before).slice(0, limit)
      ),
    redact: Effect.fnUntraced(function*({ by, principal, tenant, traceId }) {
      let found = 0
      for (const [index, entry] of ring.entries()) {
        if (entry.tenant !== tenant || entry.principal !== principal) continue
        const { reason: _reason, ...kept } = entry
        ring[index] = { ...kept, principal: null }
        found = 1
      }
      const fields = { action: "redact", target: "principal", decision: "allowed", traceId }
      if (found > 0) yield* record({ at: yield* Clock.currentTimeMillis, tenant, principal: by, ...fields })
      return found
    })
  }
})
