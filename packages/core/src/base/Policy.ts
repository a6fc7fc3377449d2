/**
 * Policy that is written on a declaration.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect } from "effect"
import type * as Interrupt from "../run/Interrupt.ts"
import * as Present from "./Present.ts"

/**
 * The scopes a caller needs to call a tool: `Tool.make(…).annotate(Policy.Scopes, ["orders:read"])`.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Scopes = Context.Reference<ReadonlyArray<string>>("@fastagentic/core/base/Policy/Scopes", {
  defaultValue: () => []
})

/**
 * The terms of an approval of a tool's call: who may give it, how much is at stake, which rule asks for it, and how long
 * it may take.
 *
 * @category models
 * @since 0.1.0
 */
export interface ApprovalOptions {
  /** The approvers: callers of the tenant that hold these scopes, for every owner's runs. */
  readonly scopes?: ReadonlyArray<string>
  /** Callers cannot approve their own requests. */
  readonly notRequester?: boolean
  readonly risk?: "low" | "medium" | "high"
  readonly rule?: string
  /** The time after which the call counts as denied. */
  readonly expiresIn?: Duration.Input
}

/**
 * How the calls of a tool with `needsApproval` are approved:
 * `Tool.make(…).annotate(Policy.Approval, { scopes: ["refunds:approve"], notRequester: true })`.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Approval = Context.Reference<ApprovalOptions>("@fastagentic/core/base/Policy/Approval", {
  defaultValue: () => ({})
})

/**
 * The longest that one call of a tool may take once it has begun; without it a call may take as long as its run:
 * `Tool.make(…).annotate(Policy.Timeout, "30 seconds")`.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Timeout = Context.Reference<Duration.Input | undefined>("@fastagentic/core/base/Policy/Timeout", {
  defaultValue: () => undefined
})

/**
 * Whether the calls of a tool are kept in the store: they survive a restart and continue on any node, as those of tools with
 * approvals always do. A tool that asks its client or pauses needs it: `Tool.make(…).annotate(Policy.Durable, true)`.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Durable = Context.Reference<boolean>("@fastagentic/core/base/Policy/Durable", {
  defaultValue: () => false
})

/**
 * When a call of a tool is a task, for clients that know tasks: `auto` makes it one after it has taken a while, `always` at
 * once, and with `required` other clients cannot call it. The last two make the tool durable:
 * `Tool.make(…).annotate(Policy.Task, "always")`.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Task = Context.Reference<"auto" | "always" | "required">("@fastagentic/core/base/Policy/Task", {
  defaultValue: () => "auto"
})

/** The part of an approval that goes with the interrupt. @category conversions @since 0.1.0 */
export const asked = (
  { expiresIn, notRequester = false, risk, rule, scopes = [] }: ApprovalOptions
): Effect.Effect<Pick<Interrupt.Request, "approvers" | "expiresAt" | "risk" | "rule">> =>
  Effect.map(Present.millis, (now) => ({
    ...(scopes.length === 0 && !notRequester ? {} : { approvers: { scopes, notRequester } }),
    ...(risk === undefined ? {} : { risk }),
    ...(rule === undefined ? {} : { rule }),
    ...(expiresIn === undefined
      ? {}
      : { expiresAt: now + Duration.toMillis(Duration.fromInputUnsafe(expiresIn)) })
  }))

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
