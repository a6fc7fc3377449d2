// Content on spans, in an app that asks for it: every value passes the guards of the run and the redaction of secrets first.
import { Cause, Effect, type Schema } from "effect"
import type { Type } from "../../run/Event.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import type * as Hook from "../Hook.ts"
import { redactJson } from "../Redaction.ts"
import type { HookWithHandler } from "./dispatch.ts"
import { guardsOf } from "./outputGuards.ts"

/** A span waits in memory for its destination. */
const longest = 262_144

/** Notes a value on the current span, unless a guard refuses it. */
export type NoteContent = (key: string, type: Type, value: Schema.Json) => Effect.Effect<void>

export const noteContent = (
  hooks: ReadonlyArray<HookWithHandler>,
  about: () => Omit<Hook.OutputCall, "type">
): NoteContent => {
  const guards = (guardsOf(hooks) ?? []).flatMap(({ guard, hook }) =>
    guard.value === undefined || guard.remote === true ? [] : [{ look: guard.value, millis: hook.timeoutMillis }]
  )
  return (key, type, value) =>
    Effect.gen(function*() {
      let passing = value
      for (const { look, millis } of guards) {
        const before = passing
        passing = yield* Effect.timeout(Effect.suspend(() => look(before, { ...about(), type })), millis)
      }
      const whole = JSON.stringify(redactJson(passing))
      const text = whole.length <= longest
        ? whole
        : `${whole.slice(0, longest)}… [${whole.length - longest} more characters]`
      yield* Tracing.note(() => ({ [key]: text }))
    }).pipe(
      // A guard that refuses or breaks keeps the value off the span, and does not fail the call.
      Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.void)
    )
}
