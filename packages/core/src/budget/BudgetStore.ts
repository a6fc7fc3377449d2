/**
 * The store that counts budgets: spent, reserved and used amounts. Amounts are whole micro-dollars.
 *
 * @since 0.1.0
 */
import { Context, type Duration, type Effect, Layer } from "effect"
import type { StoreUnavailable } from "../run/RunError.ts"
import { makeMemoryBudgetStore } from "./internal/memoryBudgetStore.ts"

/** A counter, and how far it may go: nothing is granted once `soft` is reached, or beyond `hard`. @category models @since 0.1.0 */
export interface Bound {
  readonly key: string
  readonly soft?: number | undefined
  readonly hard: number
}

/**
 * Asks for as much as there is room for in all bounds, up to `most`, and for nothing when that is less than `least`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  readonly id: string
  readonly bounds: ReadonlyArray<Bound>
  readonly least: number
  readonly most: number
  /** How long it holds unless renewed. */
  readonly lease: Duration.Duration
}

/**
 * `key` is the bound that refused, or that left the least room. `left` is what the refusing one had.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer =
  | { readonly _tag: "Granted"; readonly amount: number; readonly key: string }
  | { readonly _tag: "Refused"; readonly key: string; readonly at: "soft" | "hard"; readonly left: number }

/** One call of a model, in the books. A call without `cost` had no known price. @category models @since 0.1.0 */
export interface Use {
  /** `2026-11-22`, in UTC. */
  readonly day: string
  readonly tenant: string
  readonly user: string
  readonly agent: string
  readonly model: string
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWriteTokens: number
  readonly cost: number | undefined
}

/**
 * The outcome of a reservation. One that is gone is counted all the same, since the money is spent, unless this is said
 * `again`: then the first time has been heard.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settlement {
  readonly id: string
  readonly keys: ReadonlyArray<string>
  readonly use: Use
  readonly again: boolean
}

/** @category models @since 0.1.0 */
export interface Counter {
  readonly key: string
  readonly settled: number
  readonly reserved: number
}

/** The dimensions by which usage is grouped. @category models @since 0.1.0 */
export type Dimension = "day" | "user" | "agent" | "model"

/** Days are inclusive. @category models @since 0.1.0 */
export interface Query {
  readonly tenant: string
  readonly user?: string | undefined
  readonly agent?: string | undefined
  readonly model?: string | undefined
  readonly from: string
  readonly to: string
  readonly by: ReadonlyArray<Dimension>
}

/** Sums over what a query does not tell apart. @category models @since 0.1.0 */
export interface Row {
  readonly day?: string
  readonly user?: string
  readonly agent?: string
  readonly model?: string
  readonly calls: number
  readonly unpriced: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWriteTokens: number
  readonly cost: number
}

/**
 * Every operation is atomic, whoever else is at it: for each counter `settled + reserved` never passes the largest
 * `hard` that was asked with, unless a settlement is more than what was reserved.
 *
 * @category services
 * @since 0.1.0
 */
export class BudgetStore extends Context.Service<BudgetStore, {
  readonly reserve: (request: Request) => Effect.Effect<Answer, StoreUnavailable>
  readonly renew: (ids: ReadonlyArray<string>, lease: Duration.Duration) => Effect.Effect<void, StoreUnavailable>
  readonly settle: (settlement: Settlement) => Effect.Effect<void, StoreUnavailable>
  readonly cancelReservation: (id: string) => Effect.Effect<void, StoreUnavailable>
  /** Releases what was not renewed in time, and says how many. */
  readonly expire: Effect.Effect<number, StoreUnavailable>
  /** Counters that were never used are not among them. */
  readonly counters: (keys: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<Counter>, StoreUnavailable>
  /** Ordered by what tells the rows apart. */
  readonly usage: (query: Query) => Effect.Effect<ReadonlyArray<Row>, StoreUnavailable>
}>()("@fastagentic/core/budget/BudgetStore") {
  /** Counts in this process, as long as it lives. */
  static readonly layerMemory: Layer.Layer<BudgetStore> = Layer.sync(BudgetStore, makeMemoryBudgetStore)
}

export { decide, summarize } from "./internal/budgetSums.ts"
