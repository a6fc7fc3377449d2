/**
 * The push targets of a store that have used up their tries: for an operator, beside running servers or without them.
 *
 * @since 0.1.0
 */
import { Clock, Effect } from "effect"
import { Audit } from "../audit/Audit.ts"
import { writeDown } from "../audit/internal/writeDown.ts"
import * as Caller from "../door/Caller.ts"
import { PushStore, type PushTarget } from "../store/PushStore.ts"
import { type ReadError, RunStore } from "../store/RunStore.ts"

/** A dead target with the run that it is notified of. @category models @since 0.1.0 */
export interface DeadTarget extends Pick<PushTarget, "runId" | "id" | "attempts" | "config" | "cursor"> {
  /** The problem of the last try. */
  readonly problem: string
  /** The time after which it is removed, in Unix milliseconds. */
  readonly keptUntil: number
}

/** Targets beyond these are not looked at. */
const most = 100_000

/** The dead targets, those that are kept longest last. @category combinators @since 0.1.0 */
export const list: Effect.Effect<ReadonlyArray<DeadTarget>, ReadError, PushStore> = Effect.map(
  Effect.flatMap(PushStore, (store) => store.due({ now: Number.MAX_SAFE_INTEGER, limit: most })),
  (targets) =>
    targets.flatMap(({ attempts, config, cursor, dead, dueAt, id, runId }) =>
      dead === undefined ? [] : [{ runId, id, attempts, config, cursor, problem: dead, keptUntil: dueAt }]
    )
)

/**
 * Delivers to a dead target again, from the first update that it has not taken; false when it is not dead, or is gone.
 *
 * **Details**
 *
 * The next node that looks for targets takes it. The audit log names `by`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const redrive = Effect.fn("DeadTargets.redrive")(function*(
  { id, runId }: Pick<PushTarget, "runId" | "id">,
  by: string
): Effect.fn.Return<boolean, ReadError, PushStore | RunStore | Audit> {
  const store = yield* PushStore
  const target = (yield* store.list(runId)).find((one) => one.id === id)
  const run = yield* (yield* RunStore).get(runId)
  if (target?.dead === undefined || run === undefined) return false
  const { dead: reason, ...rest } = target
  const at = yield* Clock.currentTimeMillis
  const { traceId } = Caller.make("local")
  yield* writeDown(yield* Audit, {
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
  })
  return yield* store.set({ ...rest, version: target.version + 1, attempts: 0, dueAt: at }, target.version)
})
