// The addresses that are notified of runs, for the runtime: callers set and remove those of their runs through the door, and the
// protocol that serves takes those that are due. Who may not act any more is notified of nothing.
import { Effect } from "effect"
import * as Authorization from "../../door/Authorization.ts"
import * as Caller from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import { Principal } from "../../run/Principal.ts"
import { InvalidPayload, RunError } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import { ownerOf } from "../../runtime/internal/claim.ts"
import { makeHandle } from "../../runtime/internal/runHandle.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import type { PushStore, PushTarget } from "../../store/PushStore.ts"
import type { RunHandle } from "./runModels.ts"

/** An address to be notified of a run, with a configuration of the protocol's own. @category models @since 0.1.0 */
export interface PushRequest extends Pick<PushTarget, "runId" | "id" | "config"> {
  /** The event after which a new target is notified; the last one by default. */
  readonly cursor?: number
}

/**
 * The addresses that are notified of runs. Callers set, list and remove those of their own runs; the protocol that serves
 * delivers to those that are due, with the rights of the owner of each run.
 *
 * @category models
 * @since 0.1.0
 */
export interface PushTargets {
  /** A target of the same id is replaced, and keeps how far it has come. */
  readonly set: (caller: Caller.Caller, request: PushRequest) => Effect.Effect<PushTarget, RunError>
  readonly list: (caller: Caller.Caller, runId: string) => Effect.Effect<ReadonlyArray<PushTarget>, RunError>
  readonly remove: (caller: Caller.Caller, runId: string, id: string) => Effect.Effect<void, RunError>
  /** Targets that are due, which no other node takes for the time of the lease. */
  readonly take: (
    options: { readonly lease: number; readonly limit: number }
  ) => Effect.Effect<ReadonlyArray<PushTarget>, RunError>
  /** The run of a target as its owner sees it over a protocol; `Held` while the owner may not act. */
  readonly open: (target: PushTarget, protocol: Caller.Caller["protocol"]) => Effect.Effect<
    | { readonly _tag: "Open"; readonly handle: RunHandle }
    | { readonly _tag: "Held"; readonly why: string }
    | { readonly _tag: "Gone" },
    RunError
  >
  /** Changes a target that nobody has changed since; nothing otherwise. */
  readonly move: (target: PushTarget, changes: Partial<PushTarget>) => Effect.Effect<PushTarget | undefined, RunError>
  /** Audits that no request may reach the address of a target, for the one who has set it. */
  readonly refused: (
    target: PushTarget,
    protocol: Caller.Caller["protocol"],
    refusal: { readonly rule: string; readonly reason: string }
  ) => Effect.Effect<void, RunError>
  /** Removes a target that nobody has changed since; nothing otherwise. */
  readonly drop: (target: PushTarget) => Effect.Effect<void, RunError>
  readonly now: Effect.Effect<number>
  /**
   * Wakes a run that waits for work elsewhere, on whatever node it is. Its protocol has checked the sender; the same news twice
   * are one, and those of a run that has ended are none.
   */
  readonly arrived: (runId: string, news: string) => Effect.Effect<void, RunError>
}

/** How many targets a run has at most. */
const targetLimit = 16

export const makePushTargets = (
  node: RunSupervisor,
  door: Door,
  store: PushStore["Service"],
  arrived: PushTargets["arrived"]
): PushTargets => {
  /** The next version of a target, if nobody was faster. */
  const move = (target: PushTarget, changes: Partial<PushTarget>): Effect.Effect<PushTarget | undefined, RunError> => {
    const next = { ...target, ...changes, version: target.version + 1 }
    return Effect.map(asRunError(store.set(next, target.version)), (isSet) => isSet ? next : undefined)
  }

  const set: PushTargets["set"] = Effect.fnUntraced(function*(caller, { config, cursor, id, runId }) {
    const { principal, run } = yield* door.actor(caller, node, runId)
    const about = { runId, ...Authorization.onBehalf(principal, run) }
    let isNoted = false
    while (true) {
      const all = yield* asRunError(store.list(runId))
      const known = all.find((target) => target.id === id)
      if (known === undefined && all.length >= targetLimit) return yield* tooMany(all.length)
      const now = node.now()
      const target: PushTarget = {
        runId,
        id,
        version: (known?.version ?? 0) + 1,
        dueAt: now,
        config,
        cursor: known?.cursor ?? cursor ?? run.seq,
        ...(known?.upTo === undefined ? {} : { upTo: known.upTo }),
        sent: known?.sent ?? 0,
        attempts: 0,
        createdAt: known?.createdAt ?? now,
        by: { id: principal.id, at: now, claims: principal.claims }
      }
      // The entry comes first: no change is without one, also when this process ends in between.
      if (!isNoted) yield* door.audit(caller, principal, "notify", `run/${runId}`, about)
      isNoted = true
      if (yield* asRunError(store.set(target, known?.version ?? 0))) return target
    }
  }, Effect.uninterruptible)

  const remove: PushTargets["remove"] = Effect.fnUntraced(function*(caller, runId, id) {
    const { principal, run } = yield* door.actor(caller, node, runId)
    const about = { runId, ...Authorization.onBehalf(principal, run) }
    yield* door.audit(caller, principal, "stop notifying", `run/${runId}`, about)
    yield* asRunError(store.remove(runId, id))
  }, Effect.uninterruptible)

  const list: PushTargets["list"] = (caller, runId) =>
    Effect.andThen(door.run(caller, node, runId), asRunError(store.list(runId)))

  const take: PushTargets["take"] = Effect.fnUntraced(function*({ lease, limit }) {
    const now = node.now()
    const due = yield* asRunError(store.due({ now, limit }))
    const taken = yield* Effect.forEach(due, (target) => move(target, { dueAt: now + lease }))
    return taken.filter((target) => target !== undefined)
  })

  /** The reason for which the owner of the run, or the one who has set the target, may not act. */
  const refusal = Effect.fnUntraced(function*(run: RunRecord, by: PushTarget["by"]) {
    const { authority } = node
    if (authority === undefined) return undefined
    const why = yield* authority.refusal(run)
    if (why !== undefined || by === undefined) return why
    const grants = { scopes: [], roles: [], claims: by.claims }
    return yield* authority.refusal({ tenant: run.tenant, owner: by.id, createdAt: by.at, grants })
  })

  const open: PushTargets["open"] = Effect.fnUntraced(function*({ by, runId }, protocol) {
    const run = yield* asRunError(node.get(runId))
    if (run === undefined) return { _tag: "Gone" }
    const why = yield* asRunError(refusal(run, by))
    if (why !== undefined) return { _tag: "Held", why }
    const handle = makeHandle(node, Caller.make(protocol), { run, attached: true }, ownerOf(run))
    return { _tag: "Open", handle }
  })

  const refused: PushTargets["refused"] = Effect.fnUntraced(function*({ by, runId }, protocol, refusal) {
    const run = yield* asRunError(node.get(runId))
    if (run === undefined) return
    const owner = ownerOf(run)
    const principal = by === undefined || by.id === owner.id
      ? owner
      : new Principal({ id: by.id, tenant: run.tenant, scopes: [], roles: [], claims: by.claims })
    const caller = { ...Caller.make(protocol), traceId: run.traceId }
    const about = { runId, decision: "EgressRefused", ...refusal, ...Authorization.onBehalf(principal, run) }
    yield* door.audit(caller, principal, "notify", `run/${runId}`, about)
  })

  const drop = ({ id, runId, version }: PushTarget) => asRunError(store.remove(runId, id, version))

  return { set, remove, list, take, open, move, refused, drop, arrived, now: Effect.sync(() => node.now()) }
}

const tooMany = (count: number): Effect.Effect<never, RunError> => {
  const message = `the run has ${count} addresses that are notified, which is the most`
  return Effect.fail(new RunError({ reason: new InvalidPayload({ target: "push", issues: [{ path: [], message }] }) }))
}
