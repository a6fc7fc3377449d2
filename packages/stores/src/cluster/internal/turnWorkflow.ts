import type { EngineClaim, EngineSchedule, RunEngineShape, Turn } from "@fastagentic/core/runtime/RunEngine"
import { Clock, Effect, FiberSet, Layer, Schema } from "effect"
import * as Workflow from "effect/workflow/Workflow"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"

/** One execution for each turn of a run, whoever asks and however often. */
const TurnWorkflow = Workflow.make("FastAgenticTurn", {
  payload: { runId: Schema.String, attempt: Schema.Int },
  idempotencyKey: ({ attempt, runId }) => `${runId}/${attempt}`
})

/** What is called in the tables of the engine. */
export const entityType = `Workflow/${TurnWorkflow._tag}`

/**
 * When a turn is asked for again after so many milliseconds, whoever asks takes it: its shard may have lost its node, or be
 * on its way to another. Every node asks for what is due once in a second.
 */
const waitLimitMillis = 900

/** How long a turn is remembered. */
const memory = 60_000

export const makeJoin: Effect.Effect<RunEngineShape["join"], never, WorkflowEngine> = Effect.gen(function*() {
  const engine = yield* WorkflowEngine

  return Effect.fnUntraced(function*(drive: EngineClaim) {
    const scope = yield* Effect.scope
    yield* Layer.buildWithScope(
      Layer.provide(TurnWorkflow.toLayer(drive), Layer.succeed(WorkflowEngine, engine)),
      scope
    )
    // Fibers of their own: a turn that is asked for in a turn is no part of it.
    const fork = yield* FiberSet.makeRuntime<WorkflowEngine>().pipe(Effect.provideService(WorkflowEngine, engine))
    const asked = new Map<string, number>()

    const execute = (turn: Turn) =>
      Effect.catchCause(
        TurnWorkflow.execute(turn, { discard: true }),
        (cause) => Effect.logWarning("A turn could not be placed for now", cause)
      )

    const place: EngineSchedule = (turn) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        for (const [key, since] of asked) {
          if (since > now - memory) break
          asked.delete(key)
        }
        const key = `${turn.runId}/${turn.attempt}`
        const since = asked.get(key)
        if (since === undefined) asked.set(key, now)
        else if (now - since >= waitLimitMillis) return false
        fork(execute(turn))
        return true
      })
    return place
  })
})
