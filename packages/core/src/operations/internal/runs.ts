// Looking at runs and cancelling them, for the runtime: every call passes the door first.
import { Effect } from "effect"
import * as Authorization from "../../door/Authorization.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { asRunError, notFound } from "../../run/internal/runErrors.ts"
import { cancelRun } from "../../runtime/internal/cancel.ts"
import { makeHandle } from "../../runtime/internal/runHandle.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import type { ListRequest, RunHandle } from "../Runtime.ts"

export const makeRuns = (node: RunSupervisor, door: Door) => {
  const open = (caller: Caller, runId: string) =>
    Effect.map(door.run(caller, node, runId), ({ run }): RunHandle => makeHandle(node, caller, { run, attached: true }))

  const get = (caller: Caller, runId: string) => Effect.map(door.run(caller, node, runId), ({ run }) => run)

  const list = Effect.fnUntraced(function*(caller: Caller, request: ListRequest) {
    const principal = yield* door.authenticate(caller)
    const query = { ...request, ...Authorization.visibleRuns(principal) }
    const found = yield* asRunError(Effect.all([node.durable.store.list(query), node.ephemeral.store.list(query)]))
    return found.flat().sort((a, b) => a.runId < b.runId ? 1 : -1).slice(0, request.limit)
  })

  const settled = (caller: Caller, runId: string) => Effect.flatMap(open(caller, runId), ({ settled }) => settled)

  const follow = (caller: Caller, runId: string, options: Parameters<RunHandle["follow"]>[0]) =>
    Effect.flatMap(open(caller, runId), ({ follow }) => follow(options))

  const events = (caller: Caller, runId: string, options: Parameters<RunHandle["events"]>[0]) =>
    Effect.flatMap(open(caller, runId), ({ events }) => events(options))

  const cancel = Effect.fnUntraced(function*(caller: Caller, runId: string, reason = "cancelled by the caller") {
    const { principal, run } = yield* door.run(caller, node, runId)
    yield* door.audit(caller, principal, "cancel", `run/${runId}`, { runId, reason })
    const ended = yield* asRunError(cancelRun(node, run, reason))
    return ended ?? (yield* Effect.fail(notFound(runId)))
  })

  return { open, get, list, await: settled, follow, events, cancel }
}
