import { Effect } from "effect"
import { isFinal } from "../../run/RunRecord.ts"
import type { EngineClaim } from "../RunEngine.ts"
import { claim } from "./claim.ts"
import type { Callables } from "./resolveHandlers.ts"
import type { RunSupervisor } from "./runSupervisor.ts"

/** What an engine asks this node for: to take a run that is still where it was when its turn was placed. */
export const makeEngineClaim = (node: RunSupervisor, callables: Callables): EngineClaim =>
  Effect.fnUntraced(
    function*({ attempt, runId }) {
      yield* node.wired.await
      // What comes when this node goes away is left to the next one.
      if (node.closing) return yield* Effect.never
      const run = yield* node.durable.store.get(runId)
      const bound = run === undefined ? undefined : callables[run.kind].get(run.agent)
      if (run?.attempt !== attempt || bound === undefined || isFinal(run.state)) return
      // An owner that was only slow has paused it since: it waits for its answer.
      if (run.waitsFor === "interrupt") return
      const lost = run.state === "running"
      if (lost && node.has(runId)) return
      yield* claim(node, bound, run, { from: [run.state], ...(lost ? { crashes: run.crashes + 1 } : {}) })
    },
    (effect, { runId }) =>
      Effect.catch(
        effect,
        (error) => Effect.annotateLogs(Effect.logError("A run could not be taken", error), { runId })
      )
  )
