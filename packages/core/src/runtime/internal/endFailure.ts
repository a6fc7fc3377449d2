// The failure of a run that is ended from outside of its code: at its deadline while it waits, or when its code does not stop.
// cancel.ts asks for it; its hooks and guards decide about it as about any failure.
import { Cause, Effect, Exit } from "effect"
import { dispatch } from "../../hook/internal/dispatch.ts"
import { shownValue } from "../../hook/internal/shownValue.ts"
import type * as Event from "../../run/Event.ts"
import { internalError, refused } from "../../run/internal/failure.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import { ownerOf } from "./claim.ts"
import type { Ending } from "./liveRun.ts"
import type { RunSupervisor } from "./runSupervisor.ts"

/** The failure as it leaves, with the events of what the hooks have decided. */
export interface EndFailure {
  readonly failure: Event.Failure
  readonly events: ReadonlyArray<Event.Event>
}

export const endFailure = (
  node: RunSupervisor,
  run: RunRecord,
  { error }: Extract<Ending, { readonly _tag: "Cut" }>
): Effect.Effect<EndFailure> => {
  const found = refused(error)
  const hooks = node.hooksOf(run)
  if (hooks.length === 0) return Effect.succeed({ failure: found, events: [] })
  const { agent, kind, payload, runId } = run
  const about = { runId, kind, agent, principal: ownerOf(run) }
  const events: Array<Event.Event> = []
  const decided = (data: Event.Data<"hook_decision">) =>
    Effect.sync(() => void events.push({ type: "hook_decision", data }))
  const shown = shownValue(hooks, about) ?? Effect.succeed
  const asked = Effect.gen(function*() {
    const failure = yield* dispatch(hooks, runId, decided).error(found, { ...about, payload })
    const message = yield* shown(failure.message, "error")
    const guarded = { ...failure, message: typeof message === "string" ? message : failure.message }
    return failure.value === undefined ? guarded : { ...guarded, value: yield* shown(failure.value, "error") }
  })
  // Hooks have their time limits also where the end itself cannot be interrupted.
  return Effect.flatMap(Effect.exit(Effect.interruptible(asked)), (exit) => {
    if (Exit.isSuccess(exit)) return Effect.succeed({ failure: exit.value, events })
    if (Cause.hasInterruptsOnly(exit.cause)) return Effect.interrupt
    const logged = Effect.annotateLogs(Effect.logError("An error hook failed", exit.cause), { runId, agent })
    return Effect.as(logged, { failure: internalError, events })
  })
}
