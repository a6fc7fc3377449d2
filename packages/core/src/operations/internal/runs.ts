import { Effect, Stream } from "effect"
import * as Authorization from "../../door/Authorization.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { asRunError, notFound } from "../../run/internal/runErrors.ts"
import { InvalidCursor, RunError } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import { cancelRun } from "../../runtime/internal/cancel.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import type { ListRequest } from "../Runtime.ts"

/** Looking at runs, and ending them. */
export const makeRuns = (node: RunSupervisor, door: Door) => {
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
    const pages = node.follow(run, yield* cursorOf(run, options.after), options.until)
    const parent = yield* Tracing.current
    const counted = Stream.suspend(() => {
      node.metrics.streams(caller.protocol, 1)
      return Stream.ensuring(pages, Effect.sync(() => node.metrics.streams(caller.protocol, -1)))
    })
    return Tracing.streamWithin(counted, "stream", () => ({
      ...(parent === undefined ? {} : { parent }),
      attributes: { "fastagentic.run.id": runId }
    }))
  })

  const events = Effect.fnUntraced(function*(
    caller: Caller,
    runId: string,
    options: { readonly after: number; readonly limit: number }
  ) {
    const run = yield* get(caller, runId)
    const after = yield* cursorOf(run, options.after)
    return yield* asRunError(node.writerOf(run).store.events(runId, after, options.limit))
  })

  const cancel = Effect.fnUntraced(function*(caller: Caller, runId: string, reason = "cancelled by the caller") {
    const { principal, run } = yield* door.run(caller, node, runId)
    yield* door.audit(caller, principal, "cancel", `run/${runId}`, { runId, reason })
    const ended = yield* asRunError(cancelRun(node, run, reason))
    return ended ?? (yield* Effect.fail(notFound(runId)))
  })

  return { get, list, await: settled, follow, events, cancel }
}
