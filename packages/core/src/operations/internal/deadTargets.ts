// Lists and redrives dead push targets: DeadTargets does it in a store, Runtime for callers with the scope `push:manage`. The entry
// of a redrive has an id of the target as it was, so that two redrives at once, and one that is repeated after a crash, have one.
import { Effect } from "effect"
import type { Audit, Entry } from "../../audit/Audit.ts"
import { writeDown } from "../../audit/internal/writeDown.ts"
import { sha256 } from "../../base/internal/secrets.ts"
import * as Authorization from "../../door/Authorization.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { asRunError, notFound } from "../../run/internal/runErrors.ts"
import type { RunError, StoreUnavailable } from "../../run/RunError.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import type { PushStore, PushTarget } from "../../store/PushStore.ts"
import type { DeadTarget } from "../DeadTargets.ts"

/** Targets beyond these are not looked at. */
const most = 100_000

export const listDead = (store: PushStore["Service"]): Effect.Effect<ReadonlyArray<DeadTarget>, StoreUnavailable> =>
  Effect.map(store.due({ now: Number.MAX_SAFE_INTEGER, limit: most }), deadIn)

const deadIn = (targets: ReadonlyArray<PushTarget>): ReadonlyArray<DeadTarget> =>
  targets.flatMap(({ attempts, config, cursor, dead, dueAt, id, runId }) =>
    dead === undefined ? [] : [{ runId, id, attempts, config, cursor, problem: dead, keptUntil: dueAt }]
  )

/** Makes a dead target due; false when it is not dead, is gone, or another redrive was faster. */
export const redriveDead = Effect.fnUntraced(function*(
  store: PushStore["Service"],
  audit: Audit["Service"],
  { id, runId }: Pick<PushTarget, "runId" | "id">,
  entryOf: (reason: string) => Entry
): Effect.fn.Return<boolean, StoreUnavailable> {
  const target = (yield* store.list(runId)).find((one) => one.id === id)
  if (target?.dead === undefined) return false
  const { dead, ...rest } = target
  const entry = entryOf(dead)
  const noted = `redrive-${yield* sha256(JSON.stringify([runId, id, target.createdAt, target.version]))}`
  // The entry comes first: no redrive is without one, also when this process ends in between.
  if (audit.enter !== undefined) yield* audit.enter([{ id: noted, entry }], true)
  const isMade = yield* store.set(
    { ...rest, version: target.version + 1, attempts: 0, dueAt: entry.at },
    target.version
  )
  if (isMade && audit.enter === undefined) yield* writeDown(audit, entry)
  return isMade
}, Effect.uninterruptible)

export interface DeadTargetCalls {
  /** The dead targets of the caller's tenant, for callers with the scope `push:manage`. */
  readonly dead: (caller: Caller) => Effect.Effect<ReadonlyArray<DeadTarget>, RunError>
  /** Redrives the dead targets of a run, or of the tenant; a run without one is not found. */
  readonly redrive: (
    caller: Caller,
    which: { readonly runId?: string; readonly id?: string }
  ) => Effect.Effect<ReadonlyArray<Pick<DeadTarget, "runId" | "id">>, RunError>
}

export const makeDeadTargetCalls = (
  node: RunSupervisor,
  door: Door,
  store: PushStore["Service"],
  audit: Audit["Service"]
): DeadTargetCalls => {
  const scopes = ["push:manage"]

  /** Those of a tenant, with their runs. */
  const deadOf = Effect.fnUntraced(function*(tenant: string, runId: string | undefined) {
    const all = yield* asRunError(runId === undefined ? listDead(store) : Effect.map(store.list(runId), deadIn))
    const found = yield* Effect.forEach(
      all,
      (target) => Effect.map(asRunError(node.get(target.runId)), (run) => ({ target, run })),
      { concurrency: 8 }
    )
    return found.flatMap(({ run, target }) => run === undefined || run.tenant !== tenant ? [] : [{ run, target }])
  })

  return {
    dead: Effect.fnUntraced(function*(caller) {
      const { tenant } = yield* door.enter(caller, "push", scopes)
      return (yield* deadOf(tenant, undefined)).map(({ target }) => target)
    }),
    redrive: Effect.fnUntraced(function*(caller, { id, runId }) {
      const principal = yield* door.enter(caller, "push", scopes)
      const meant = (yield* deadOf(principal.tenant, runId)).filter(({ target }) =>
        id === undefined || target.id === id
      )
      if (runId !== undefined && meant.length === 0) return yield* Effect.fail(notFound(runId))
      const redriven = yield* Effect.forEach(meant, ({ run, target }) => {
        const about = { runId: run.runId, ...Authorization.onBehalf(principal, run) }
        const entryOf = (reason: string) =>
          door.entry(caller, principal, "notify", `run/${run.runId}`, { ...about, reason })
        return Effect.map(
          asRunError(redriveDead(store, audit, target, entryOf)),
          (isMade) => isMade ? [{ runId: target.runId, id: target.id }] : []
        )
      })
      return redriven.flat()
    })
  }
}
