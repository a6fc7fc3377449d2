/**
 * The push targets of a store that have used up their tries: for an operator, beside running servers or without them.
 *
 * @since 0.1.0
 */
import { Clock, Effect } from "effect"
import { Audit } from "../audit/Audit.ts"
import * as Caller from "../door/Caller.ts"
import { PushStore, type PushTarget } from "../store/PushStore.ts"
import { type ReadError, RunStore } from "../store/RunStore.ts"
import { listDead, redriveDead } from "./internal/deadTargets.ts"

/** A dead target with the run that it is notified of. @category models @since 0.1.0 */
export interface DeadTarget extends Pick<PushTarget, "runId" | "id" | "attempts" | "config" | "cursor"> {
  /** The problem of the last try. */
  readonly problem: string
  /** The time after which it is removed, in Unix milliseconds. */
  readonly keptUntil: number
}

/** The dead targets, those that are kept longest last. @category combinators @since 0.1.0 */
export const list: Effect.Effect<ReadonlyArray<DeadTarget>, ReadError, PushStore> = Effect.flatMap(PushStore, listDead)

/**
 * Delivers to a dead target again, from the first update that it has not taken; false when it is not dead, or is gone.
 *
 * **Details**
 *
 * The next node that looks for targets takes it. The audit log names `by`, once for redrives at the same time.
 *
 * @category combinators
 * @since 0.1.0
 */
export const redrive = Effect.fn("DeadTargets.redrive")(function*(
  { id, runId }: Pick<PushTarget, "runId" | "id">,
  by: string
): Effect.fn.Return<boolean, ReadError, PushStore | RunStore | Audit> {
  const run = yield* (yield* RunStore).get(runId)
  if (run === undefined) return false
  const at = yield* Clock.currentTimeMillis
  const { traceId } = Caller.make("local")
  return yield* redriveDead(yield* PushStore, yield* Audit, { id, runId }, (reason) => ({
    at,
    tenant: run.tenant,
    principal: by,
    action: "notify",
    target: `run/${runId}`,
    decision: "allowed",
    traceId,
    runId,
    reason,
    onBehalfOf: run.owner
  }))
})
