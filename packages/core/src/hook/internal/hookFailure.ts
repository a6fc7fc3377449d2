// Decides how a failed hook ends its point: open continues, closed refuses. dispatch and outputGuards call it.
import { Cause, Effect } from "effect"
import type { Data } from "../../run/Event.ts"
import { HookBlocked } from "../../run/RunError.ts"
import type * as Hook from "../Hook.ts"
import { TookTooLong } from "./hookTimer.ts"

/** The failure of a hook itself: no failure from inside its call, and no stop of the run. */
export const ownFailure = (
  cause: Cause.Cause<unknown>,
  theirs: ReadonlySet<unknown>
): Cause.Cause<never> | undefined => {
  const own = cause.reasons.filter(Cause.isDieReason).filter(({ defect }) => !theirs.has(defect))
  return own.length === 0 ? undefined : Cause.fromReasons(own)
}

/** Handles a failed hook: continues without it when it is open and a way exists, and refuses otherwise. */
export const failedItself = <A, E, R>(
  { decided, hook }: {
    readonly hook: Pick<Hook.Any, "identifier" | "onFailure">
    readonly decided: (decision: Data<"hook_decision">) => Effect.Effect<void>
  },
  point: Hook.Point,
  cause: Cause.Cause<never>,
  way: Effect.Effect<A, E, R> | undefined
): Effect.Effect<A, E | HookBlocked, R> => {
  const late = cause.reasons.some((reason) => Cause.isDieReason(reason) && reason.defect instanceof TookTooLong)
  const reason = late ? `the hook ${hook.identifier} took too long` : `the hook ${hook.identifier} failed`
  const open = hook.onFailure === "open" && way !== undefined
  const goOn: Effect.Effect<A, E | HookBlocked, R> = open
    ? way
    : Effect.fail(new HookBlocked({ hook: hook.identifier, point, reason }))
  return Effect.annotateLogs(Effect.logError("A hook failed", cause), { hook: hook.identifier, point }).pipe(
    Effect.andThen(decided({ hook: hook.identifier, point, decision: open ? "allow" : "block", reason })),
    Effect.andThen(goOn)
  )
}
