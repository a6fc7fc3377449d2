/**
 * The port to the addresses that are notified of runs. The journal of a run is what there is to deliver: a target keeps how far
 * its deliveries have come, so that any node continues them.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Schema } from "effect"
import { Principal } from "../run/Principal.ts"
import type { StoreUnavailable } from "../run/RunError.ts"

const optional = Schema.optionalKey

/**
 * An address that is notified of a run. `config` is the protocol's own; secrets in it are sealed by the protocol.
 *
 * Everything up to the event `cursor` is delivered. A delivery covers the events up to `upTo`, which is kept before it is
 * tried, so that each repeat has the same bodies, of which the first `sent` were taken. `attempts` counts the tries since. At
 * `dueAt` somebody looks at the target again: it is in the future while a node works on it. A `dead` target has used up its
 * tries. `by` is the principal who has set it last, and when: deliveries end with its authority. Times are Unix milliseconds.
 *
 * @category schemas
 * @since 0.1.0
 */
export const PushTarget = Schema.Struct({
  runId: Schema.String,
  id: Schema.String,
  version: Schema.Int,
  dueAt: Schema.Int,
  config: Schema.Json,
  cursor: Schema.Int,
  upTo: optional(Schema.Int),
  sent: Schema.Int,
  attempts: Schema.Int,
  dead: optional(Schema.String),
  by: optional(Schema.Struct({ id: Schema.String, at: Schema.Int, claims: Principal.fields.claims })),
  createdAt: Schema.Int
})

/** @category models @since 0.1.0 */
export type PushTarget = typeof PushTarget.Type

/** @category services @since 0.1.0 */
export class PushStore extends Context.Service<PushStore, {
  /** The targets of a run in the order of their ids. */
  readonly list: (runId: string) => Effect.Effect<ReadonlyArray<PushTarget>, StoreUnavailable>
  /** Keeps a target if the one that is kept has the version `after`, which is 0 when none is kept. */
  readonly set: (target: PushTarget, after: number) => Effect.Effect<boolean, StoreUnavailable>
  /** Removes a target; with a version, only the target of this version. */
  readonly remove: (runId: string, id: string, version?: number) => Effect.Effect<void, StoreUnavailable>
  /** The targets whose time has come, those that wait longest first. */
  readonly due: (
    query: { readonly now: number; readonly limit: number }
  ) => Effect.Effect<ReadonlyArray<PushTarget>, StoreUnavailable>
}>()("@fastagentic/core/store/PushStore") {
  static readonly layerMemory: Layer.Layer<PushStore> = Layer.sync(PushStore, () => makeMemory())
}

/** Targets of this process alone. @category constructors @since 0.1.0 */
export const makeMemory = (): PushStore["Service"] => {
  const targets = new Map<string, PushTarget>()
  const keyOf = (runId: string, id: string) => JSON.stringify([runId, id])
  return {
    list: (runId) => Effect.sync(() => [...targets.values()].filter((one) => one.runId === runId).sort(byId)),
    set: (target, after) =>
      Effect.sync(() => {
        const key = keyOf(target.runId, target.id)
        if ((targets.get(key)?.version ?? 0) !== after) return false
        targets.set(key, target)
        return true
      }),
    remove: (runId, id, version) =>
      Effect.sync(() => {
        const key = keyOf(runId, id)
        if (version === undefined || targets.get(key)?.version === version) targets.delete(key)
      }),
    due: ({ limit, now }) =>
      Effect.sync(() =>
        [...targets.values()].filter(({ dueAt }) => dueAt <= now).sort((a, b) => a.dueAt - b.dueAt).slice(0, limit)
      )
  }
}

/** The order of the targets of a run. @category combinators @since 0.1.0 */
export const byId = (a: PushTarget, b: PushTarget): number => a.id < b.id ? -1 : a.id === b.id ? 0 : 1
