// Runs one node of an agent with its hooks and events; the model loop uses it for each turn.
import type { Hook } from "@fastagentic/core"
import { Present, Run, RunError } from "@fastagentic/core"
import { Cause, Effect, Exit } from "effect"

/** Runs a node of an agent inside its hooks, between `node_enter` and `node_exit`. A pause emits no `node_exit`. */
export const within = Effect.fnUntraced(function*<A, E, R>(call: Hook.NodeCall, effect: Effect.Effect<A, E, R>) {
  const run = yield* Run.CurrentRun
  const entered = ({ kind, name, nodeId }: Hook.NodeCall) =>
    Effect.gen(function*() {
      yield* run.emit({ type: "node_enter", data: { nodeId, name, kind } })
      const startedAt = yield* Present.millis
      return yield* Effect.onExit(effect, (exit) => {
        if (Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)) return Effect.void
        const status = Exit.isSuccess(exit) ? "ok" : "error"
        return Effect.flatMap(Present.millis, (now) =>
          run.emit({ type: "node_exit", data: { nodeId, name, status, durationMs: now - startedAt } }))
      })
    })
  return yield* run.hooks.node(call, entered).pipe(
    Effect.catchIf((error) => error instanceof RunError.HookBlocked, Effect.die)
  )
})
