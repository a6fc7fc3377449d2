// Revokes, restores and cancels for a principal of the caller's tenant, with the scope `principals:manage`; Runtime builds it.
import { Effect } from "effect"
import type { ApiKeyStore } from "../../door/ApiKeys.ts"
import type { Caller } from "../../door/Caller.ts"
import { accountDisabled } from "../../door/internal/authority.ts"
import type { Door } from "../../door/internal/door.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import { isFinal } from "../../run/RunRecord.ts"
import { cancelRun } from "../../runtime/internal/cancel.ts"
import { holdRun } from "../../runtime/internal/holdRun.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import { type Change, entryOf } from "../Principals.ts"
import { changePrincipal } from "./principalWork.ts"

export const makePrincipalCalls = (
  node: RunSupervisor,
  door: Door,
  keys: ApiKeyStore["Service"]
) => ({
  changePrincipal: Effect.fnUntraced(function*(caller: Caller, id: string, change: Change) {
    const principal = yield* door.enter(caller, "principals", ["principals:manage"])
    const account = { tenant: principal.tenant, id }
    const changed = yield* asRunError(changePrincipal(account, change, {
      stores: [node.durable.store, node.ephemeral.store],
      keys,
      now: () => node.now(),
      hold: (run) => holdRun(node, run, accountDisabled),
      cancel: (run) =>
        Effect.map(
          cancelRun(node, run, "all work of its principal was cancelled"),
          (ended) => ended !== undefined && isFinal(ended.state)
        ),
      wake: (run, commit) => Effect.map(node.commit(run, commit), (after) => after !== undefined)
    }))
    if (node.authority !== undefined) yield* asRunError(node.authority.refresh)
    if (change === "restore") yield* node.poll.at(0)
    const { action, reason, target } = entryOf(id, change, changed)
    yield* door.audit(caller, principal, action, target, { reason })
    return changed
  }, Effect.uninterruptible)
})
