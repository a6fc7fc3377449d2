/**
 * Pure rules about who may call what, for conditions that scopes cannot express; every protocol applies them at the door.
 *
 * @since 0.1.0
 */
import { Context, Layer } from "effect"
import type { Principal } from "../run/Principal.ts"
import type { Caller } from "./Caller.ts"

/** One call to judge: `kind` and `identifier` are the declaration's, `at` is Unix milliseconds. @category models @since 0.1.0 */
export interface Question {
  readonly principal: Principal
  readonly kind: "agent" | "tool" | "resource" | "prompt"
  readonly identifier: string
  readonly protocol: Caller["protocol"]
  readonly at: number
}

/** A refusal names the rule, and so does the audit log. @category models @since 0.1.0 */
export interface PolicyRule {
  readonly name: string
  /** Whether the call may go on as far as this rule is concerned. A rule that throws refuses. */
  readonly allows: (question: Question) => boolean
}

/**
 * The rules of an app, all of which have to allow a call. There are none by default.
 *
 * @category services
 * @since 0.1.0
 */
export const PolicyRules: Context.Reference<ReadonlyArray<PolicyRule>> = Context.Reference<ReadonlyArray<PolicyRule>>(
  "@fastagentic/core/door/PolicyRules",
  { defaultValue: () => [] }
)

/**
 * Asks these rules after the scopes and before the limits, for starting, answering, resuming, forking, delegating and
 * reading alike.
 *
 * **Example** (Office hours)
 *
 * ```ts
 * import { PolicyRules } from "@fastagentic/core"
 *
 * const Rules = PolicyRules.layer([
 *   { name: "refunds by staff", allows: ({ identifier, principal }) =>
 *     identifier !== "refund" || principal.claims["staff"] === true }
 * ])
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (rules: ReadonlyArray<PolicyRule>): Layer.Layer<never> => Layer.succeed(PolicyRules, rules)

/** The rule that refuses, if one does. @category accessors @since 0.1.0 */
export const refusing = (rules: ReadonlyArray<PolicyRule>, question: Question): PolicyRule | undefined =>
  rules.find((rule) => {
    try {
      return !rule.allows(question)
    } catch {
      return true
    }
  })
