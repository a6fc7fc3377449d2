// Revokes, restores and cancels for a principal of the caller's tenant, with the scope `principals:manage`; Runtime builds it.
import { Effect } from "effect"
import { withEntry } from "../../audit/internal/withEntry.ts"
import type { ApiKeyStore } from "../../door/ApiKeys.ts"
import type { Caller } from "../../door/Caller.ts"
import { accountDisabled } from "../../door/internal/authority.ts"
import type { Door } from "../../door/internal/door.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import { isFinal } from "../../run/RunRecord.ts"
import { cancelRun } from "../../runtime/internal/cancel.ts"
import { holdRun } from "../../runtime/internal/holdRun.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import type { Known, Schedules } from "../../runtime/internal/schedules.ts"
import type { ScheduleStore } from "../../runtime/ScheduleStore.ts"
import { begun, type Change, entryOf } from "../Principals.ts"
import { allCancelled, changePrincipal } from "./principalWork.ts"

export const makePrincipalCalls = (
  node: RunSupervisor,
  door: Door,
  keys: ApiKeyStore["Service"],
  store: ScheduleStore["Service"],
  schedules: Schedules
) => ({
  changePrincipal: Effect.fnUntraced(function*(caller: Caller, id: string, change: Change) {
    const principal = yield* door.enter(caller, "principals", ["principals:manage"])
    const account = { tenant: principal.tenant, id }
    const isTheirs = ({ timed: { principal } }: Known) => principal.id === id && principal.tenant === account.tenant
    const { outbox, durable: { store: runs } } = node
    // The one who asked for it is on record before anything is changed, whatever becomes of the rest.
    yield* door.audit(caller, principal, change, `principal/${id}`, { reason: begun })
    const changed = yield* asRunError(changePrincipal(account, change, {
      stores: [node.durable.store, node.ephemeral.store],
      keys,
      now: () => node.now(),
      revokeKey: ({ prefix }) =>
        withEntry(
          { outbox, runs, store: keys },
          door.entry(caller, principal, "revoke", `key/${prefix}`, { onBehalfOf: id }),
          (facts) => keys.revoke(prefix, node.now(), facts)
        ),
      turn: (state) =>
        withEntry(
          { outbox, runs, store: keys },
          door.entry(caller, principal, state, `principal/${id}`),
          (facts) => state === "disable" ? keys.disable(account, node.now(), facts) : keys.enable(account, facts)
        ),
      schedules: Effect.map(
        schedules.all(),
        (known) => known.filter(isTheirs).map(({ mark, timed }) => ({ id: timed.id, mark }))
      ),
      pause: (id, mark, after) =>
        withEntry(
          { outbox, runs, store },
          door.entry(caller, principal, "pause", `schedule/${id}`),
          (facts) => store.set(mark, after, facts)
        ),
      hold: (run) => holdRun(node, run, accountDisabled),
      cancel: (run) => {
        const { owner, runId } = run
        const about = { runId, reason: allCancelled, ...(owner === principal.id ? {} : { onBehalfOf: owner }) }
        const fact = node.outbox.note(door.entry(caller, principal, "cancel", `run/${runId}`, about))
        return Effect.map(
          cancelRun(node, run, allCancelled, [fact]),
          (ended) => ended !== undefined && isFinal(ended.state)
        )
      },
      wake: (run, commit) => Effect.map(node.commit(run, commit), (after) => after !== undefined)
    }))
    if (node.authority !== undefined) yield* asRunError(node.authority.refresh)
    if (change === "restore") yield* node.poll.at(0)
    const { action, reason, target } = entryOf(id, change, changed)
    yield* door.audit(caller, principal, action, target, { reason })
    return changed
  }, Effect.uninterruptible)
})
