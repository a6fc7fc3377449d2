/**
 * The fifth stage of the door: what a run may cost. Reserved before it starts, settled when it ends.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer } from "effect"
import type { Usage } from "./Event.ts"
import type { BudgetExceeded } from "./RunError.ts"
import type { RunRecord } from "./RunRecord.ts"

/** @category services @since 0.1.0 */
export class Budget extends Context.Service<Budget, {
  readonly reserve: (run: RunRecord) => Effect.Effect<void, BudgetExceeded>
  readonly settle: (run: RunRecord, usage: Usage | undefined) => Effect.Effect<void>
}>()("@fastagentic/core/Budget") {}

/** Runs may cost anything. @category layers @since 0.1.0 */
export const layerUnlimited: Layer.Layer<Budget> = Layer.succeed(Budget, {
  reserve: () => Effect.void,
  settle: () => Effect.void
})
