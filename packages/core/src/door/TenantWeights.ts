/**
 * How large a share of every line each tenant has.
 *
 * @since 0.1.0
 */
import { Context } from "effect"

/**
 * The weight of a tenant: where others wait as well, a tenant of weight 2 starts two runs for each one of a tenant of
 * weight 1, the default. What is no positive number counts as 1.
 *
 * **Example** (A tenant with five times the share of others)
 *
 * ```ts
 * import { TenantWeights } from "@fastagentic/core"
 * import { Layer } from "effect"
 *
 * const Weights = Layer.succeed(TenantWeights.TenantWeights, (tenant) => tenant === "acme" ? 5 : 1)
 * ```
 *
 * @category references
 * @since 0.1.0
 */
export const TenantWeights = Context.Reference<(tenant: string) => number>(
  "@fastagentic/core/door/TenantWeights",
  { defaultValue: () => () => 1 }
)
