// Passes a value that the runtime shows, not the handler, through the guards of an agent; shownTexts calls it. A guard that
// refuses takes the value's place, because what was decided or has ended cannot be cut off any more.
import { Cause, Effect, type Schema } from "effect"
import type { Type } from "../../run/Event.ts"
import type * as Hook from "../Hook.ts"
import type { HookWithHandler } from "./dispatch.ts"
import { ownFailure } from "./hookFailure.ts"
import { counting } from "./hookTimer.ts"

export type Shown = (value: Schema.Json, type: Type) => Effect.Effect<Schema.Json>

/** Whether a hook has a guard over values that the runtime shows. */
export const hasGuard = ({ points }: HookWithHandler): boolean => points?.output?.value !== undefined

export const shownValue = (
  hooks: ReadonlyArray<HookWithHandler>,
  about: Omit<Hook.OutputCall, "type">
): Shown | undefined => {
  // The last one declared is the innermost, and sees first.
  const guards = hooks.flatMap((hook) =>
    hook.points?.output?.value === undefined ? [] : [{ hook, look: hook.points.output.value }]
  )
    .toReversed()
  if (guards.length === 0) return undefined
  return Effect.fnUntraced(function*(value, type) {
    let passing = value
    for (const { hook, look } of guards) {
      const before = passing
      passing = yield* Effect.catchCause(
        counting(hook.timeoutMillis, (time) => time.within(Effect.suspend(() => look(before, { ...about, type })))),
        (cause): Effect.Effect<Schema.Json> => {
          if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
          const isOwn = ownFailure(cause, none) !== undefined
          return Effect.succeed(isOwn && hook.onFailure === "open" ? before : `[cut off by ${hook.identifier}]`)
        }
      )
    }
    return passing
  })
}

const none: ReadonlySet<unknown> = new Set()
