/**
 * The services of an app that provides none: the local user may do everything, without limits or budgets.
 *
 * @since 0.1.0
 */
import { Audit, Auth, Budget, RateLimit } from "@fastagentic/core"
import { Layer } from "effect"

/** @category layers @since 0.1.0 */
export const layerOpen: Layer.Layer<Auth.Auth | RateLimit.RateLimit | Budget.Budget> = Layer.mergeAll(
  Auth.layerNone,
  RateLimit.layerUnlimited,
  Budget.layerUnlimited
)

/** @category layers @since 0.1.0 */
export const layerAuditMemory: Layer.Layer<Audit.Audit> = Audit.layerMemory
