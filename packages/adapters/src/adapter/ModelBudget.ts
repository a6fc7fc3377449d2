/**
 * The money side of a call of a language model: asked for before it, settled after it.
 *
 * @since 0.1.0
 */
import type { Budget, Event } from "@fastagentic/core"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Effect } from "effect"
import type * as Response from "effect/ai/Response"
import * as Tokens from "./Tokens.ts"

/** A call that is paid for. @category models @since 0.1.0 */
export interface ModelBudget {
  readonly model: string
  readonly maxOutputTokens: number | undefined
  readonly see: (part: Response.AnyPart) => void
  /** What the provider has told, with its cost; a whole answer without a word about tokens costs all that was reserved. */
  readonly end: (usage: Event.Usage | undefined) => Effect.Effect<Event.Usage | undefined>
  /** A call that was cut short costs what was heard of it, and nothing when that was nothing. */
  readonly cut: Effect.Effect<void>
}

/**
 * Asks for a call. It is refused as a defect: that ends the run with its own typed error, whatever the agent declares.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = Effect.fnUntraced(function*(request: Budget.ModelRequest) {
  const run = yield* CurrentRun
  const grant = yield* Effect.orDie(run.spend(request))
  let heard = 0
  return {
    model: grant.model,
    maxOutputTokens: grant.maxOutputTokens,
    see: (part) => {
      heard += heardIn(part)
    },
    end: grant.settle,
    cut: Effect.suspend(() =>
      heard === 0 ? grant.cancelReservation : Effect.asVoid(grant.settle({
        inputTokens: request.inputTokens,
        outputTokens: Math.min(heard, grant.maxOutputTokens ?? heard)
      }))
    )
  } satisfies ModelBudget
})

const heardIn = (part: Response.AnyPart): number => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return Tokens.ofText(part.text)
    case "text-delta":
    case "reasoning-delta":
    case "tool-params-delta":
      return Tokens.ofText(part.delta)
    case "tool-call":
      return Tokens.ofJson(part.params)
    default:
      return 0
  }
}
