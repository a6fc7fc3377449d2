/**
 * The last stage of the door: who did what, and what was decided.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer } from "effect"

/** One decision. `at` is Unix milliseconds. @category models @since 0.1.0 */
export interface Entry {
  readonly at: number
  readonly tenant: string
  readonly principal: string
  readonly action: string
  readonly target: string
  readonly decision: string
  readonly runId?: string
  readonly traceId: string
}

/** Append-only. @category services @since 0.1.0 */
export class Audit extends Context.Service<Audit, {
  readonly record: (entry: Entry) => Effect.Effect<void>
  readonly recent: (tenant: string) => Effect.Effect<ReadonlyArray<Entry>>
}>()("@fastagentic/core/Audit") {}

/** Keeps the last 10,000 entries of this process. @category layers @since 0.1.0 */
export const layerMemory: Layer.Layer<Audit> = Layer.sync(Audit, () => {
  const capacity = 10_000
  const entries: Array<Entry> = []
  let next = 0
  return {
    record: (entry) =>
      Effect.sync(() => {
        entries[next] = entry
        next = (next + 1) % capacity
      }),
    recent: (tenant) =>
      Effect.sync(() => [...entries.slice(next), ...entries.slice(0, next)].filter((entry) => entry.tenant === tenant))
  }
})
