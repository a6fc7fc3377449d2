import { Effect } from "effect"
import * as Authorization from "../Authorization.ts"
import type { Caller } from "../Caller.ts"
import { InvalidCursor, RunError } from "../RunError.ts"
import { isFinal, type RunRecord } from "../RunRecord.ts"
import type { Commit } from "../RunStore.ts"
import type { ListRequest } from "../Runtime.ts"
import { asRunError, type Door, notFound } from "./door.ts"
import type { Node } from "./node.ts"

/** Looking at runs, and ending them. */
export const makeRuns = (node: Node, door: Door) => {
  const get = (caller: Caller, runId: string) => Effect.map(door.run(caller, node, runId), ({ run }) => run)

  const list = Effect.fnUntraced(function*(caller: Caller, request: ListRequest) {
    const principal = yield* door.authenticate(caller)
    const query = { ...request, ...Authorization.visibleRuns(principal) }
    const found = yield* asRunError(Effect.all([node.durable.store.list(query), node.ephemeral.store.list(query)]))
    return found.flat().sort((a, b) => a.runId < b.runId ? 1 : -1).slice(0, request.limit)
  })

  const settled = (caller: Caller, runId: string) =>
    Effect.flatMap(get(caller, runId), (run) => asRunError(node.settled(run)))

  const cursorOf = (run: RunRecord, after: number) =>
    Number.isSafeInteger(after) && after >= 0 && after <= run.seq
      ? Effect.succeed(after)
      : Effect.fail(
        new RunError({
          reason: new InvalidCursor({ cursor: String(after), reason: `this run has events 1 to ${run.seq}` })
        })
      )

  const follow = Effect.fnUntraced(function*(
    caller: Caller,
    runId: string,
    options: { readonly after: number; readonly until: "final" | "settled" }
  ) {
    const run = yield* get(caller, runId)
    return node.follow(run, yield* cursorOf(run, options.after), options.until)
  })

  const events = Effect.fnUntraced(function*(
    caller: Caller,
    runId: string,
    options: { readonly after: number; readonly limit: number }
  ) {
    const run = yield* get(caller, runId)
    const after = yield* cursorOf(run, options.after)
    return yield* asRunError(node.journalOf(run).store.events(runId, after, options.limit))
  })

  const cancel = Effect.fnUntraced(function*(caller: Caller, runId: string, reason = "cancelled by the caller") {
    const { principal, run } = yield* door.run(caller, node, runId)
    yield* door.audit(caller, principal, "cancel", `run/${runId}`, { runId, reason })
    let seen: RunRecord | undefined = run
    while (seen !== undefined && !isFinal(seen.state)) {
      // A run that pauses or moves at this very moment takes another turn.
      if (!(yield* node.cancel(runId, reason))) yield* asRunError(node.commit(seen, cancellation(seen, reason)))
      seen = yield* asRunError(node.get(runId))
    }
    return seen ?? (yield* Effect.fail(notFound(runId)))
  })

  /** Takes a run from whoever has it: what an owner elsewhere writes after this is refused. */
  const cancellation = (run: RunRecord, reason: string): Commit => {
    const ts = node.now()
    return {
      _tag: "Commit",
      runId: run.runId,
      attempt: run.attempt,
      from: ["queued", "running", "suspended"],
      ts,
      events: [{ type: "run_cancelled", data: { reason } }],
      set: { state: "cancelled", finishedAt: ts }
    }
  }

  return { get, list, await: settled, follow, events, cancel }
}
