import { Effect, Stream } from "effect"
import type * as Event from "../Event.ts"
import type * as Hook from "../Hook.ts"
import { HookBlocked } from "../RunError.ts"

export interface BoundHook {
  readonly identifier: string
  readonly points: Hook.Points
}

export type Dispatch = Required<Hook.Points>

type Decided = (decision: Event.Data<"hook_decision">) => Effect.Effect<void>

/** Calls nothing in between: the dispatch of an agent without hooks. */
export const direct: Dispatch = {
  request: (call, next) => next(call),
  llm: (call, next) => next(call),
  tool: (call, next) => next(call),
  node: (call, next) => next(call),
  checkpoint: (call, next) => next(call),
  error: (failure) => Effect.succeed(failure)
}

/** All hooks around each point, first declared outermost; what they change or refuse is journaled by `decided`. */
export const dispatch = (hooks: ReadonlyArray<BoundHook>, decided: Decided): Dispatch =>
  hooks.length === 0 ? direct : hooks.map((hook) => observed(hook, decided)).reduceRight(inside, direct)

/** Puts one hook around another dispatch. */
const inside = (inner: Dispatch, outer: Dispatch): Dispatch => ({
  request: (call, next) => outer.request(call, (changed) => inner.request(changed, next)),
  llm: (call, next) => outer.llm(call, (changed) => inner.llm(changed, next)),
  tool: (call, next) => outer.tool(call, (changed) => inner.tool(changed, next)),
  node: (call, next) => outer.node(call, (changed) => inner.node(changed, next)),
  checkpoint: (call, next) => outer.checkpoint(call, (changed) => inner.checkpoint(changed, next)),
  error: (failure, call) => Effect.flatMap(inner.error(failure, call), (seen) => outer.error(seen, call))
})

/** One hook whose decisions are seen: a changed call is a modification, a second one a retry, its own refusal a block. */
const observed = ({ identifier, points }: BoundHook, decided: Decided): Dispatch => {
  const admitting = <C>(point: keyof Hook.Points, call: C) => {
    let calls = 0
    return (changed: C) =>
      Effect.suspend(() => {
        const retry = calls++ > 0 ? decided({ hook: identifier, point, decision: "retry" }) : Effect.void
        return changed === call
          ? retry
          : Effect.andThen(retry, decided({ hook: identifier, point, decision: "modify" }))
      })
  }
  const blocked = (point: keyof Hook.Points) => (error: unknown) =>
    error instanceof HookBlocked && error.hook === identifier && error.point === point
      ? decided({ hook: identifier, point, decision: "block", reason: error.reason })
      : Effect.void
  const { checkpoint, llm, node, request, tool } = points
  return {
    request: request === undefined ? direct.request : (call, next) => {
      const admit = admitting("request", call)
      return Effect.tapError(
        request(call, (changed) => Effect.andThen(admit(changed), next(changed))),
        blocked("request")
      )
    },
    llm: llm === undefined ? direct.llm : (call, next) => {
      const admit = admitting("llm", call)
      return Stream.tapError(
        llm(call, (changed) => Stream.unwrap(Effect.as(admit(changed), next(changed)))),
        blocked("llm")
      )
    },
    tool: tool === undefined ? direct.tool : (call, next) => {
      const admit = admitting("tool", call)
      return Effect.tapError(tool(call, (changed) => Effect.andThen(admit(changed), next(changed))), blocked("tool"))
    },
    node: node === undefined ? direct.node : (call, next) => {
      const admit = admitting("node", call)
      return Effect.tapError(node(call, (changed) => Effect.andThen(admit(changed), next(changed))), blocked("node"))
    },
    checkpoint: checkpoint === undefined ? direct.checkpoint : (call, next) => {
      const admit = admitting("checkpoint", call)
      return Effect.tapError(
        checkpoint(call, (changed) => Effect.andThen(admit(changed), next(changed))),
        blocked("checkpoint")
      )
    },
    error: points.error ?? direct.error
  }
}
