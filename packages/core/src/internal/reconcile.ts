import { Effect } from "effect"
import type { Resolution } from "../Interrupt.ts"
import * as Principal from "../Principal.ts"
import { RunError, type StoreUnavailable } from "../RunError.ts"
import type { RunRecord, RunState } from "../RunRecord.ts"
import type { Commit, RunStore } from "../RunStore.ts"
import type { Callables } from "./bind.ts"
import { asRunError } from "./door.ts"
import type { Bound, Node } from "./node.ts"

/**
 * Makes this node the owner of a run that has none, in the same commit as the decision that lets it go on.
 *
 * Returns false when somebody else was faster: nothing was written then.
 */
export const claim = Effect.fnUntraced(function*(node: Node, bound: Bound, run: RunRecord, options: {
  readonly from: ReadonlyArray<RunState>
  readonly goOn: boolean
  readonly resolve?: { readonly id: string; readonly resolution: Resolution }
}): Effect.fn.Return<boolean, RunError> {
  const { goOn, resolve } = options
  const attempt = run.attempt + 1
  const resolved = resolve === undefined ? [] : [resolvedEvent(resolve)]
  const started = { type: "run_started", data: { agent: run.agent, resumed: true } } as const
  const write: Commit = {
    _tag: "Commit",
    runId: run.runId,
    attempt: run.attempt,
    from: options.from,
    ts: node.now(),
    events: goOn ? [...resolved, started] : resolved,
    ...(goOn ? { set: { state: "running", attempt } } : {}),
    ...(resolve === undefined ? {} : { resolve })
  }
  const written = yield* asRunError(Effect.uninterruptible(Effect.tap(
    node.commit(run, write),
    (written) => written._tag === "Committed" && goOn ? takeOver(node, bound, run.runId, attempt) : Effect.void
  )))
  return written._tag === "Committed"
})

/** Reads what there is to go on from only now: until it was fenced, the owner before could still commit a step. */
const takeOver = Effect.fnUntraced(function*(node: Node, bound: Bound, runId: string, attempt: number) {
  const run = yield* node.get(runId)
  if (run?.attempt !== attempt || run.state !== "running") return
  node.launch(run, ownerOf(run), bound, yield* node.past(run))
})

const resolvedEvent = ({ id, resolution }: { readonly id: string; readonly resolution: Resolution }) => {
  const { at: _at, ...decision } = resolution
  return { type: "interrupt_resolved", data: { id, ...decision } } as const
}

/** A resumed run acts for its owner, with what the owner was allowed when it was admitted. */
const ownerOf = ({ grants, owner, tenant }: RunRecord) => new Principal.Principal({ id: owner, tenant, ...grants })

/**
 * Continues runs that nobody drives, when nothing has happened in them for so many milliseconds. What this app does not
 * declare any more stays as it is.
 */
export const reconcile = Effect.fnUntraced(function*(
  node: Node,
  callables: Callables,
  quietMillis: number,
  runs: RunStore["Service"]["unfinished"] = node.durable.store.unfinished
): Effect.fn.Return<void, StoreUnavailable> {
  for (const run of yield* runs) {
    if (node.closing || node.owns(run.runId) || node.now() - run.updatedAt < quietMillis) continue
    const about = Effect.annotateLogs({ runId: run.runId, agent: run.agent })
    const bound = callables[run.kind].get(run.agent)
    if (bound === undefined) {
      if (quietMillis === 0) yield* about(Effect.logWarning("A run waits for an agent that is not declared"))
      continue
    }
    if (bound.callable.fingerprint !== run.fingerprint) {
      yield* about(Effect.logWarning("A run goes on with an agent whose schemas have changed since it started"))
    }
    yield* claim(node, bound, run, { from: ["queued", "running"], goOn: true }).pipe(
      Effect.catchTag("RunError", (error) => about(Effect.logError("A run could not be continued", error)))
    )
  }
})
