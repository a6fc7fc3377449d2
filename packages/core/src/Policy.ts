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
 * Whether scopes held include a scope needed.
 *
 * **Details**
 *
 * `"*"` holds everything. In a scope of several segments a `*` stands for one segment, and at the end for one or more:
 * `orders:*` holds `orders:read` and `orders:read:own`, not `orders`; `orders:*:own` holds `orders:read:own` only.
 *
 * @category predicates
 * @since 0.1.0
 */
export const holds = (held: ReadonlyArray<string>, needed: string): boolean =>
  held.includes(needed) || held.some((scope) => scope.includes("*") && covers(scope, needed))

const covers = (pattern: string, needed: string) => {
  const segments = pattern.split(":")
  const wanted = needed.split(":")
  const open = segments.at(-1) === "*"
  return (open ? wanted.length >= segments.length : wanted.length === segments.length) &&
    segments.every((segment, index) => segment === wanted[index] || (segment === "*" && wanted[index] !== ""))
}
