/**
 * The fifth stage of the door: what runs may cost. The price of every call of a model is reserved before it, and settled
 * after it.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect, Layer } from "effect"
import type { FusionError } from "../app/Fusion.ts"
import { checkLimits } from "../app/internal/checkLimits.ts"
import * as Timings from "../base/Timings.ts"
import type { Event, Usage } from "../run/Event.ts"
import type { Interrupt, Request, Resolution } from "../run/Interrupt.ts"
import type { Principal } from "../run/Principal.ts"
import type { BudgetExceeded, OutputUnlimited, PriceUnknown, StoreUnavailable } from "../run/RunError.ts"
import type { RunRecord } from "../run/RunRecord.ts"
import { BudgetStore, type Row } from "./BudgetStore.ts"
import { makeBudgetService } from "./internal/budgetService.ts"
import { type Model, Prices } from "./Prices.ts"

/**
 * The spending that is counted together: `tree` is a run with all that it delegates, `user` a user of a tenant, `key` an API
 * key, `app` everybody.
 *
 * @category models
 * @since 0.1.0
 */
export type Subject = "run" | "tree" | "user" | "tenant" | "agent" | "key" | "app"

/**
 * One limit, in dollars.
 *
 * **Details**
 *
 * Several subjects count each combination: `["tenant", "agent"]` is each agent of each tenant. Days and months are
 * those of UTC. A limit per key does not hold for callers without one.
 *
 * Models that `atSoft` names are replaced by cheaper ones from `soft` on, where the agent can; at `hard` a run is
 * refused, or waits for an approval, which lets this run spend up to `hard` once more.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limit {
  readonly name: string
  readonly per: Subject | ReadonlyArray<Subject>
  readonly period: "day" | "month" | "total"
  readonly soft?: number
  readonly hard: number
  readonly atSoft?: Readonly<Record<string, string>>
  /** Default `"refuse"`. */
  readonly atHard?: "refuse" | "suspend"
  /** The callers who may raise a limit that suspends; default: those with the scope `budgets:raise`, never anybody who caused the run. */
  readonly raise?: Raise
}

/**
 * The callers who may let a run spend more than a limit: those of the tenant that hold these scopes, `["budgets:raise"]` by default.
 * `requester` adds those who caused the run; the default is `false`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Raise {
  readonly scopes?: ReadonlyArray<string>
  readonly requester?: boolean
}

/** @category models @since 0.1.0 */
export interface Options {
  /** The longest answer of a call that sets no limit itself; default 4,096 tokens. */
  readonly maxOutputTokens?: number
  /** How long a reservation outlives the process that made it; default one minute. */
  readonly lease?: Duration.Input
  /** Whether a gateway's word that a call has cost nothing is believed; default `false`: the price table says what it cost. */
  readonly trustZeroCost?: boolean
}

/** A call of a model that is about to be made. @category models @since 0.1.0 */
export interface ModelRequest {
  readonly callId: string
  readonly model: string
  readonly provider?: string | undefined
  /** No fewer than the provider will count. */
  readonly inputTokens: number
  /** The limit that the call sets for its answer. */
  readonly maxOutputTokens?: number | undefined
  /** Whether that can be made less. */
  readonly clamps: boolean
  /** Whether this model can be called in its place. */
  readonly changesTo: (model: string) => boolean
}

/** A call that is paid for: this model, and no longer answer than this. @category models @since 0.1.0 */
export interface Grant {
  readonly model: string
  readonly maxOutputTokens: number | undefined
  /** Counts what was used and says what it cost; a provider that reports no usage costs all that was reserved. */
  readonly settle: (usage: Usage | undefined) => Effect.Effect<Usage | undefined>
  /** Releases the reservation without a charge. */
  readonly cancelReservation: Effect.Effect<void>
}

/** Why a call cannot be made. @category models @since 0.1.0 */
export type Refusal = BudgetExceeded | PriceUnknown | OutputUnlimited | StoreUnavailable

/** The run that a call is for. @category models @since 0.1.0 */
export interface RunContext {
  readonly record: RunRecord
  readonly tell: (event: Event) => Effect.Effect<void>
  readonly interrupt: (request: Request) => Effect.Effect<Resolution>
  /** The model requests of this run so far. */
  readonly earlier: () => Iterable<Interrupt>
}

/** How much of a limit is used, in dollars. @category models @since 0.1.0 */
export interface LimitUsage {
  readonly name: string
  readonly period: Limit["period"]
  readonly softUsd?: number
  readonly hardUsd: number
  readonly settledUsd: number
  readonly reservedUsd: number
}

/** @category services @since 0.1.0 */
export class Budget extends Context.Service<Budget, {
  /** The limits that calls of models are held to. */
  readonly limits: ReadonlyArray<Limit>
  /** Refuses a run that starts or resumes when nothing is left. */
  readonly check: (run: RunRecord) => Effect.Effect<void, BudgetExceeded>
  /** Releases everything that a run has reserved, once it has ended or paused. */
  readonly releaseAll: (run: RunRecord, usage: Usage | undefined) => Effect.Effect<void>
  /** Reserves the cost of one call of a model, before it is made. */
  readonly spend: (spender: RunContext, request: ModelRequest) => Effect.Effect<Grant, Refusal>
  /** The most tokens that a model reads, where that is known. */
  readonly contextWindow: (model: Model) => Effect.Effect<number | undefined>
  readonly usage: (query: Parameters<BudgetStore["Service"]["usage"]>[0]) => Effect.Effect<
    ReadonlyArray<Row>,
    StoreUnavailable
  >
  /** The limits that hold for a caller whatever they start. */
  readonly standings: (principal: Principal) => Effect.Effect<ReadonlyArray<LimitUsage>, StoreUnavailable>
}>()("@fastagentic/core/budget/Budget") {}

/** Runs may cost anything, and nothing is counted. @category constructors @since 0.1.0 */
export const unlimited: Budget["Service"] = {
  limits: [],
  check: () => Effect.void,
  releaseAll: () => Effect.void,
  spend: (_spender, { maxOutputTokens, model }) =>
    Effect.succeed({ model, maxOutputTokens, settle: Effect.succeed, cancelReservation: Effect.void }),
  contextWindow: () => Effect.succeed(undefined),
  usage: () => Effect.succeed([]),
  standings: () => Effect.succeed([])
}

/** Runs may cost anything, and nothing is counted. @category layers @since 0.1.0 */
export const layerUnlimited: Layer.Layer<Budget> = Layer.succeed(Budget, unlimited)

/** The limits of an app. @category models @since 0.1.0 */
export interface Policy extends Options {
  readonly limits: ReadonlyArray<Limit>
}

/** The policy that `limits` sets; the default has no limits. @category references @since 0.1.0 */
export const CurrentPolicy: Context.Reference<Policy> = Context.Reference<Policy>(
  "@fastagentic/core/budget/Budget/CurrentPolicy",
  { defaultValue: () => ({ limits: [] }) }
)

/**
 * Sets limits. Fails to start when two have the same name, or one could not hold.
 *
 * **Example** (A dollar a day for each user, and fifty cents for each run)
 *
 * ```ts
 * import { Budget } from "@fastagentic/core"
 *
 * const Limits = Budget.limits([
 *   { name: "daily", per: "user", period: "day", soft: 0.8, hard: 1, atSoft: { "gpt-4.1": "gpt-4.1-mini" } },
 *   { name: "run", per: "tree", period: "total", hard: 0.5, atHard: "suspend" }
 * ])
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const limits = (limits: ReadonlyArray<Limit>, options: Options = {}): Layer.Layer<never, FusionError> =>
  Layer.effect(CurrentPolicy, Effect.as(checkLimits(limits, options), { ...options, limits }))

/**
 * Counts what calls of models use, and holds runs to the limits that are set.
 *
 * **Gotchas**
 *
 * A process that stands still for longer than the lease loses its reservations; what it then settles is counted, and can
 * go beyond a limit.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Budget, never, BudgetStore | Prices> = Layer.effect(
  Budget,
  Effect.gen(function*() {
    const { lease = Timings.budgetLeaseMillis, limits, maxOutputTokens = 4_096, trustZeroCost = false } =
      yield* CurrentPolicy
    return yield* makeBudgetService({
      limits,
      maxOutputTokens,
      trustZeroCost,
      lease: Duration.fromInputUnsafe(lease),
      store: yield* BudgetStore,
      prices: yield* Prices
    })
  })
)
