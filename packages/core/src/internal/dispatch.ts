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

/** One hook whose decisions are seen: a changed call is a modification, its own refusal a block. */
const observed = ({ identifier, points }: BoundHook, decided: Decided): Dispatch => {
  const modified = (point: keyof Hook.Points) => decided({ hook: identifier, point, decision: "modify" })
  const blocked = (point: keyof Hook.Points) => (error: unknown) =>
    error instanceof HookBlocked && error.hook === identifier && error.point === point
      ? decided({ hook: identifier, point, decision: "block", reason: error.reason })
      : Effect.void
  return {
    request: (call, next) =>
      points.request === undefined ? next(call) : points.request(
        call,
        (changed) => changed === call ? next(changed) : Effect.andThen(modified("request"), next(changed))
      ).pipe(Effect.tapError(blocked("request"))),
    llm: (call, next) =>
      points.llm === undefined ? next(call) : points.llm(
        call,
        (changed) =>
          changed === call
            ? next(changed)
            : Stream.unwrap(Effect.as(modified("llm"), next(changed)))
      ).pipe(Stream.tapError((error) => blocked("llm")(error))),
    tool: (call, next) =>
      points.tool === undefined ? next(call) : points.tool(
        call,
        (changed) => changed === call ? next(changed) : Effect.andThen(modified("tool"), next(changed))
      ).pipe(Effect.tapError(blocked("tool"))),
    node: (call, next) =>
      points.node === undefined ? next(call) : points.node(
        call,
        (changed) => changed === call ? next(changed) : Effect.andThen(modified("node"), next(changed))
      ).pipe(Effect.tapError(blocked("node"))),
    checkpoint: (call, next) =>
      points.checkpoint === undefined ? next(call) : points.checkpoint(
        call,
        (changed) => changed === call ? next(changed) : Effect.andThen(modified("checkpoint"), next(changed))
      ).pipe(Effect.tapError(blocked("checkpoint"))),
    error: points.error ?? direct.error
  }
}
