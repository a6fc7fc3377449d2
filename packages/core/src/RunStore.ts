/**
 * The port to where runs live. Every write is a batch that is committed as a whole.
 *
 * @since 0.1.0
 */
import { Context, type Effect, Layer, type Schema } from "effect"
import type { Event, Failure, RunEvent, Usage } from "./Event.ts"
import { makeMemoryRunStore } from "./internal/memoryRunStore.ts"
import type { Interrupt, Resolution } from "./Interrupt.ts"
import type { StoreUnavailable } from "./RunError.ts"
import type { RunRecord, RunState } from "./RunRecord.ts"

/**
 * Admits a run with its first events. When another run of the same tenant, owner and agent holds the idempotency key,
 * nothing is written and that run is the answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Admit {
  readonly _tag: "Admit"
  readonly run: RunRecord
  readonly events: ReadonlyArray<Event>
}

/**
 * Appends to a run's journal and changes its record, if the run is still of this attempt and in one of the states
 * `from`, and the interrupt to be resolved is open. Otherwise nothing is written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Commit {
  readonly _tag: "Commit"
  readonly runId: string
  readonly attempt: number
  readonly from: ReadonlyArray<RunState>
  readonly ts: number
  readonly events: ReadonlyArray<Event>
  readonly set?: Changes
  readonly steps?: ReadonlyArray<Step>
  readonly open?: ReadonlyArray<Interrupt>
  readonly resolve?: { readonly id: string; readonly resolution: Resolution }
}

/** What a commit may change in a record. @category models @since 0.1.0 */
export interface Changes {
  readonly state?: RunState
  readonly attempt?: number
  readonly emitted?: number
  readonly output?: Schema.Json
  readonly error?: Failure
  readonly usage?: Usage
  readonly finishedAt?: number
}

/** The stored result of a step. @category models @since 0.1.0 */
export interface Step {
  readonly name: string
  readonly value: Schema.Json
}

/** @category models @since 0.1.0 */
export type Write = Admit | Commit

/** What became of one write; `events` carry the numbers that the store gave them. @category models @since 0.1.0 */
export type Written =
  | { readonly _tag: "Admitted"; readonly run: RunRecord; readonly events: ReadonlyArray<RunEvent> }
  | { readonly _tag: "Attached"; readonly run: RunRecord }
  | { readonly _tag: "Committed"; readonly events: ReadonlyArray<RunEvent> }
  | { readonly _tag: "Refused" }

/** Runs newest first; `before` is the run id that the previous page ended with. @category models @since 0.1.0 */
export interface Query {
  readonly tenant: string
  readonly owner?: string
  readonly agent?: string
  readonly kind?: "agent" | "tool"
  readonly state?: RunState
  readonly threadId?: string
  readonly before?: string
  readonly limit: number
}

/** @category services @since 0.1.0 */
export class RunStore extends Context.Service<RunStore, {
  /** Commits all writes in one transaction, in order; the answers are in the same order. */
  readonly write: (writes: ReadonlyArray<Write>) => Effect.Effect<ReadonlyArray<Written>, StoreUnavailable>
  readonly get: (runId: string) => Effect.Effect<RunRecord | undefined, StoreUnavailable>
  readonly list: (query: Query) => Effect.Effect<ReadonlyArray<RunRecord>, StoreUnavailable>
  /** Events with `seq > after`, in order, at least one if there is one, about `limit` at most. */
  readonly events: (
    runId: string,
    after: number,
    limit: number
  ) => Effect.Effect<ReadonlyArray<RunEvent>, StoreUnavailable>
  readonly steps: (runId: string) => Effect.Effect<ReadonlyArray<Step>, StoreUnavailable>
  readonly interrupts: (runId: string) => Effect.Effect<ReadonlyArray<Interrupt>, StoreUnavailable>
  /** Queued and running runs that no other living node has, oldest first; those that this process drives included. */
  readonly unfinished: Effect.Effect<ReadonlyArray<RunRecord>, StoreUnavailable>
  /** Those of the unfinished runs that another node had, which is gone; none where one process has the store. */
  readonly abandoned: Effect.Effect<ReadonlyArray<RunRecord>, StoreUnavailable>
}>()("@fastagentic/core/RunStore") {
  /** Everything in memory; of the finished runs the last 1,000 are kept. */
  static readonly layerMemory: Layer.Layer<RunStore> = Layer.sync(RunStore, () => {
    const { writeNow: _writeNow, ...store } = makeMemoryRunStore(1_000)
    return store
  })
}
