// The callback an engine uses to claim a run on this node; Runtime.layer passes it to the engine.
import { Effect } from "effect"
import { isFinal } from "../../run/RunRecord.ts"
import type { EngineClaim } from "../RunEngine.ts"
import { claim } from "./claim.ts"
import type { Callables } from "./resolveHandlers.ts"
import type { RunSupervisor } from "./runSupervisor.ts"

/** Whether the store says that no living node has the run. */
const isOrphan = (node: RunSupervisor, runId: string) =>
  Effect.map(node.durable.store.unfinished, (runs) => runs.some((run) => run.runId === runId))

/** The callback an engine uses to claim a run on this node, unless the run has moved on since it was scheduled. */
export const makeEngineClaim = (node: RunSupervisor, callables: Callables): EngineClaim =>
  Effect.fnUntraced(
    function*({ attempt, runId }) {
      yield* node.wired.await
      // A node that shuts down leaves the run to the next one.
      if (node.closing) return yield* Effect.never
      const run = yield* node.durable.store.get(runId)
      const bound = run === undefined ? undefined : callables[run.kind].get(run.agent)
      if (run?.attempt !== attempt || bound === undefined || isFinal(run.state)) return
      const lost = run.state === "running"
      // Anybody may ask: a run that waits is taken only when it is due, and one that runs only when its owner's lease is lost.
      if (!lost && (run.wakeAt ?? Infinity) > node.now()) return
      if (lost && (node.runs.has(runId) || !(yield* isOrphan(node, runId)))) return
      yield* claim(node, bound, run, { from: [run.state], ...(lost ? { crashes: run.crashes + 1 } : {}) })
    },
    (effect, { runId }) =>
      Effect.catch(
        effect,
        (error) => Effect.annotateLogs(Effect.logError("A run could not be taken", error), { runId })
      )
  )
