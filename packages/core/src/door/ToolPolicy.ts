/**
 * The approval policy of an app: it answers for every tool call of an agent, a direct call or a foreign framework whether the
 * call is made, refused, or put before a human. It may be effectful, and its answers are never cached.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, type Schema } from "effect"
import type { ApprovalOptions } from "../base/Policy.ts"
import type { Principal } from "../run/Principal.ts"
import type { RunRecord } from "../run/RunRecord.ts"

/** The hints that a tool gives about itself; a foreign tool has the defaults of MCP. @category models @since 0.1.0 */
export interface Hints {
  readonly readOnly: boolean
  readonly destructive: boolean
  readonly idempotent: boolean
  readonly openWorld: boolean
}

/** The hints of a tool that gives none. @category constants @since 0.1.0 */
export const noHints: Hints = { readOnly: false, destructive: true, idempotent: false, openWorld: true }

/** The policy's answer; `ask` takes the terms of the approval. @category models @since 0.1.0 */
export type Answer =
  | { readonly decision: "allow" }
  | { readonly decision: "deny"; readonly reason?: string }
  | ({ readonly decision: "ask" } & ApprovalOptions)

/** A tool call before it is made, with the answer that its declaration gives. @category models @since 0.1.0 */
export interface Question {
  readonly tool: string
  readonly toolCallId: string
  readonly arguments: Schema.Json
  readonly hints: Hints
  readonly principal: Principal
  readonly run: RunRecord
  readonly declared: Answer
}

/** @category models @since 0.1.0 */
export type ToolPolicy = (question: Question) => Effect.Effect<Answer>

/** The policy of the app; without one the declarations decide. @category references @since 0.1.0 */
export const CurrentToolPolicy: Context.Reference<ToolPolicy | undefined> = Context.Reference<ToolPolicy | undefined>(
  "@fastagentic/core/door/ToolPolicy/CurrentToolPolicy",
  { defaultValue: () => undefined }
)

/**
 * Sets the policy. A policy that fails with a defect denies the call. Direct calls of tools are kept in the store then,
 * because any of them may wait for a human.
 *
 * **Example** (A human decides about everything that changes something)
 *
 * ```ts
 * import { ToolPolicy } from "@fastagentic/core"
 * import { Effect } from "effect"
 *
 * const Careful = ToolPolicy.layer(({ declared, hints }) =>
 *   Effect.succeed(hints.readOnly ? declared : { decision: "ask", scopes: ["tools:approve"], notRequester: true })
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(
  decide: (question: Question) => Effect.Effect<Answer, never, R>
): Layer.Layer<never, never, R> =>
  Layer.effect(
    CurrentToolPolicy,
    Effect.map(
      Effect.context<R>(),
      (context): ToolPolicy => (question) => Effect.provideContext(decide(question), context)
    )
  )
