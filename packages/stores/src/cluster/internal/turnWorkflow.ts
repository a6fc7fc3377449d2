// The workflow whose execution claims one turn of a run; `ClusterEngine` gives its `join` to the runtime.
import type { EngineClaim, EngineSchedule, RunEngineShape, Turn } from "@fastagentic/core/runtime/RunEngine"
import { Clock, Effect, FiberSet, Layer, Schema } from "effect"
import * as Workflow from "effect/workflow/Workflow"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"

/** One execution for each turn of a run, however many nodes ask for it and however often. */
const TurnWorkflow = Workflow.make("FastAgenticTurn", {
  payload: { runId: Schema.String, attempt: Schema.Int },
  idempotencyKey: ({ attempt, runId }) => `${runId}/${attempt}`
})

/** The entity type of turns in the tables of the engine. */
export const entityType = `Workflow/${TurnWorkflow._tag}`

/**
 * A turn that is requested again after so many milliseconds is claimed by the node that requests it, because its shard
 * may have lost its node or may be moving. Every node requests due runs once a second.
 */
const waitLimitMillis = 900

/** How long a requested turn is remembered. */
const rememberMillis = 60_000

export const makeJoin: Effect.Effect<RunEngineShape["join"], never, WorkflowEngine> = Effect.gen(function*() {
  const engine = yield* WorkflowEngine

  return Effect.fnUntraced(function*(drive: EngineClaim) {
    const scope = yield* Effect.scope
    yield* Layer.buildWithScope(
      Layer.provide(TurnWorkflow.toLayer(drive), Layer.succeed(WorkflowEngine, engine)),
      scope
    )
    // Fibers of their own: a turn that another turn requests must not be part of that turn.
    const fork = yield* FiberSet.makeRuntime<WorkflowEngine>().pipe(Effect.provideService(WorkflowEngine, engine))
    const requested = new Map<string, number>()

    const execute = (turn: Turn) =>
      Effect.catchCause(
        TurnWorkflow.execute(turn, { discard: true }),
        (cause) =>
          Effect.logWarning("A turn of a run could not be scheduled; it is requested again when the run is due", cause)
      )

    const schedule: EngineSchedule = (turn) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        for (const [key, since] of requested) {
          if (since > now - rememberMillis) break
          requested.delete(key)
        }
        const key = `${turn.runId}/${turn.attempt}`
        const since = requested.get(key)
        if (since === undefined) requested.set(key, now)
        else if (now - since >= waitLimitMillis) return false
        fork(execute(turn))
        return true
      })
    return schedule
  })
})
