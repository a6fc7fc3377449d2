/**
 * The budget of a language model call: reserved before the call, settled after it.
 *
 * @since 0.1.0
 */
import type { Budget, Event } from "@fastagentic/core"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Effect } from "effect"
import type * as Response from "effect/ai/Response"
import * as Tokens from "./Tokens.ts"

/** A call whose cost is reserved. @category models @since 0.1.0 */
export interface ModelBudget {
  readonly model: string
  readonly maxOutputTokens: number | undefined
  readonly see: (part: Response.AnyPart) => void
  /** Settles the reported usage; a complete answer without usage costs the whole reservation. */
  readonly end: (usage: Event.Usage | undefined) => Effect.Effect<Event.Usage | undefined>
  /** Settles an interrupted call: it costs the output received so far, or nothing when there was none. */
  readonly cut: Effect.Effect<void>
}

/**
 * Reserves a call. A refusal is a defect: it ends the run with its own typed error, also when the agent does not declare it.
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
