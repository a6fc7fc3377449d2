/**
 * Policy that is written on a declaration.
 *
 * @since 0.1.0
 */
import { Context } from "effect"

/**
 * The scopes a caller needs to call a tool: `Tool.make(…).annotate(Policy.Scopes, ["orders:read"])`.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Scopes = Context.Reference<ReadonlyArray<string>>("@fastagentic/core/Policy/Scopes", {
  defaultValue: () => []
})

/**
 * Whether scopes held include a scope needed; `"*"` holds everything.
 *
 * @category predicates
 * @since 0.1.0
 */
export const holds = (held: ReadonlyArray<string>, needed: string): boolean =>
  held.includes("*") || held.includes(needed)
