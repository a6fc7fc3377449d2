/**
 * How long runs are kept once they have ended, and since when in less room.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Layer } from "effect"
import type { StoreUnavailable } from "../run/RunError.ts"
import { finalStates, isFinal, type RunRecord } from "../run/RunRecord.ts"
import type { IdleQuery } from "../thread/ThreadStore.ts"
import { type Compacted, type RemoveQuery, RunStore, type Swept } from "./RunStore.ts"

/**
 * How long a run is kept after it has ended so; for ever when nothing is said. A thread is kept for the time of
 * `completed` after its last turn.
 *
 * @category models
 * @since 0.1.0
 */
export interface Keep {
  readonly completed?: Duration.Input
  readonly failed?: Duration.Input
  readonly cancelled?: Duration.Input
  readonly rejected?: Duration.Input
}

/**
 * @category options
 * @since 0.1.0
 */
export interface Options extends Keep {
  /** How long after its end the journal of a run is kept in less room: its token deltas become few rows. */
  readonly tokens?: Duration.Input
  /** How long blobs that nothing refers to are kept, an hour or more: those of commits that a crash prevented. */
  readonly blobs?: Duration.Input
  /** The retention of single tenants; the general one applies to states that are not named here. */
  readonly tenants?: Readonly<Record<string, Keep>>
}

/** Which runs to remove, however many they are. @category models @since 0.1.0 */
export type Selection = Omit<RemoveQuery, "limit" | "runIds">

/** How many runs are removed in one go. */
const batchSize = 200

/**
 * Removes runs with their journals, steps, blobs and idempotency keys, a batch at a time; `onBatch` receives each
 * batch. A child is removed after its parent.
 *
 * @category combinators
 * @since 0.1.0
 */
export const removeAll = Effect.fn("Retention.removeAll")(function*(
  selection: Selection,
  onBatch: (runs: ReadonlyArray<RunRecord>) => void = () => {}
): Effect.fn.Return<void, StoreUnavailable, RunStore> {
  const store = yield* RunStore
  while (true) {
    const removed = yield* store.remove({ ...selection, limit: batchSize })
    if (removed.length === 0) return
    onBatch(removed)
    // Runs that are driven meanwhile need the store as well.
    yield* Effect.sleep("5 millis")
  }
})

/**
 * The runs that `removeAll` would remove.
 *
 * @category combinators
 * @since 0.1.0
 */
export const findAll = Effect.fn("Retention.findAll")(function*(
  selection: Selection
): Effect.fn.Return<ReadonlyArray<RunRecord>, StoreUnavailable, RunStore> {
  const store = yield* RunStore
  const found = [...(yield* store.remove({ ...selection, limit: Number.MAX_SAFE_INTEGER, dryRun: true }))]
  for (const { runId, tenant } of found) {
    for (let before: string | undefined;;) {
      const query = { tenant, parentRunId: runId, limit: batchSize }
      const children = yield* store.list(before === undefined ? query : { ...query, before })
      found.push(...children.filter((run) => isSelected(run, selection)))
      if (children.length < batchSize) break
      before = children.at(-1)?.runId
    }
  }
  return found
})

/**
 * Keeps the journals of runs that ended before a time in less room, some at a time; `onBatch` receives each
 * batch. Their events read as before. With `dryRun` it only reports.
 *
 * @category combinators
 * @since 0.1.0
 */
export const compactAll = Effect.fn("Retention.compactAll")(function*(
  selection: { readonly finishedBefore: number; readonly dryRun?: boolean },
  onBatch: (compacted: ReadonlyArray<Compacted>) => void = () => {}
): Effect.fn.Return<void, StoreUnavailable, RunStore> {
  const store = yield* RunStore
  const limit = selection.dryRun === true ? Number.MAX_SAFE_INTEGER : batchSize
  while (true) {
    const compacted = yield* store.compact({ ...selection, limit })
    if (compacted.length === 0) return
    onBatch(compacted)
    if (selection.dryRun === true) return
    yield* Effect.sleep("5 millis")
  }
})

/**
 * Removes blobs written before a time that nothing refers to; `dryRun` only counts them.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sweepBlobs = (
  query: { readonly writtenBefore: number; readonly dryRun?: boolean }
): Effect.Effect<Swept, StoreUnavailable, RunStore> =>
  RunStore.use((store) => store.sweepBlobs?.(query) ?? Effect.succeed({ blobs: 0, bytes: 0 }))

const isSelected = ({ finishedAt = Infinity, state }: RunRecord, { finishedBefore, states }: Selection) =>
  isFinal(state) && states.includes(state) && finishedAt < finishedBefore

/**
 * Removes what has been kept long enough, and says how many runs that were. Of what stays it compacts the journals.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sweep = Effect.fn("Retention.sweep")(function*(
  options: Options
): Effect.fn.Return<number, StoreUnavailable, RunStore> {
  const now = yield* Clock.currentTimeMillis
  let count = 0
  for (const { millis, ...which } of rulesOf(options)) {
    yield* removeAll({ ...which, finishedBefore: now - millis }, (removed) => count += removed.length)
    if (which.states.includes("completed")) yield* removeThreads({ ...which, updatedBefore: now - millis })
  }
  if (options.tokens !== undefined) yield* compactAll({ finishedBefore: now - millisOf(options.tokens) })
  return count
})

/**
 * Removes the threads whose last turn is older than a time, a batch at a time, and says how many. A thread with a run that has
 * not ended stays.
 *
 * @category combinators
 * @since 0.1.0
 */
export const removeThreads = Effect.fn("Retention.removeThreads")(function*(
  { exceptTenants = [], tenant, updatedBefore }: Omit<IdleQuery, "limit">
): Effect.fn.Return<number, StoreUnavailable, RunStore> {
  const { threads } = yield* RunStore
  const query = { updatedBefore, exceptTenants, limit: batchSize, ...(tenant === undefined ? {} : { tenant }) }
  let count = 0
  while (true) {
    const removed = yield* threads.removeIdle(query)
    count += removed
    if (removed < batchSize) return count
    yield* Effect.sleep("5 millis")
  }
})

/**
 * Sweeps in the background: each minute, or as often as the shortest of the times when that is less. Every node may do it.
 *
 * **Gotchas**
 *
 * An idempotency key is as long known as its run.
 *
 * **Example** (Keeping failures longer)
 *
 * ```ts
 * import { Retention } from "@fastagentic/core"
 *
 * const Kept = Retention.layer({ completed: "7 days", tokens: "1 hour", tenants: { acme: { completed: "90 days" } } })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never, never, RunStore> => {
  const published = Layer.effectDiscard(Effect.map(RunStore, (store) => void rules.set(store, options)))
  const times = rulesOf(options).map(({ millis }) => millis)
  if (options.tokens !== undefined) times.push(millisOf(options.tokens))
  const blobs = options.blobs === undefined ? undefined : Math.max(hour, millisOf(options.blobs))
  if (blobs !== undefined) times.push(blobs)
  if (times.length === 0) return Layer.empty
  const every = Math.min(60_000, Math.max(1_000, Math.min(...times)))
  const sweepRuns = Layer.effectDiscard(Effect.forkScoped(Effect.forever(
    Effect.sleep(every).pipe(
      Effect.andThen(sweep(options)),
      Effect.tap((count) => count === 0 ? Effect.void : Effect.logDebug(`${count} runs were kept long enough`)),
      Effect.catchCause((cause) => Effect.logError("Old runs could not be removed", cause))
    )
  )))
  if (blobs === undefined) return Layer.merge(published, sweepRuns)
  const removeUnused = Effect.flatMap(
    Clock.currentTimeMillis,
    (now) => sweepBlobs({ writtenBefore: now - blobs })
  ).pipe(
    Effect.tap((swept) => swept.blobs === 0 ? Effect.void : Effect.logInfo("Unused blobs are removed", swept)),
    Effect.catchCause((cause) => Effect.logError("Unused blobs could not be removed", cause))
  )
  // Each look reads the beginning of every blob.
  const looks = Effect.forever(Effect.andThen(removeUnused, Effect.sleep(Math.min(blobs, 24 * hour))))
  return Layer.mergeAll(published, sweepRuns, Layer.effectDiscard(Effect.forkScoped(Effect.delay(looks, every))))
}

/** The rules that are declared for a store of this process. */
const rules = new WeakMap<RunStore["Service"], Options>()

/**
 * The least time, in milliseconds since it was made, for which a run is kept by the retention that is declared for its store in
 * this process; nothing when it is kept for ever. Of a run that has not ended it counts from its last change, so that it grows.
 *
 * @category accessors
 * @since 0.1.0
 */
export const keptMillis = (
  store: RunStore["Service"],
  { createdAt, finishedAt, state, tenant, updatedAt }: Pick<
    RunRecord,
    "createdAt" | "finishedAt" | "state" | "tenant" | "updatedAt"
  >
): number | undefined => {
  const options = rules.get(store)
  const own = tenant === undefined ? undefined : options?.tenants?.[tenant]
  const times = finalStates.flatMap((final) => {
    const keep = own?.[final] ?? options?.[final]
    return keep === undefined || (isFinal(state) && final !== state) ? [] : [millisOf(keep)]
  })
  return times.length === 0 ? undefined : (finishedAt ?? updatedAt) - createdAt + Math.min(...times)
}

const hour = 3_600_000

const rulesOf = ({ tenants = {}, ...general }: Options) => {
  const own = Object.entries(tenants)
  return finalStates.flatMap((state) => {
    const kept = general[state]
    const exceptTenants = own.flatMap(([tenant, keep]) => keep[state] === undefined ? [] : [tenant])
    return [
      ...(kept === undefined ? [] : [{ states: [state], exceptTenants, millis: millisOf(kept) }]),
      ...own.flatMap(([tenant, { [state]: keep }]) =>
        keep === undefined ? [] : [{ states: [state], tenant, millis: millisOf(keep) }]
      )
    ]
  })
}

const millisOf = (keep: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(keep))
