// Runs the hooks of a callable around each point, outermost first; LiveRun and ToolCall build it.
import { Cause, Effect, Exit, Stream } from "effect"
import type * as Event from "../../run/Event.ts"
import { internalError } from "../../run/internal/failure.ts"
import { HookBlocked } from "../../run/RunError.ts"
import type * as Hook from "../Hook.ts"
import { failedItself, ownFailure } from "./hookFailure.ts"
import { counting } from "./hookTimer.ts"
import { observers } from "./observers.ts"

/** A hook with what it does. */
export interface HookWithHandler extends Pick<Hook.Any, "identifier" | "timeoutMillis" | "onFailure"> {
  readonly points: Hook.Points | undefined
  readonly watch: Hook.Watch | undefined
}

/** Joins a hook with its handler. */
export const boundHook = (
  { identifier, onFailure, timeoutMillis }: Hook.Any,
  handler: Hook.Points | Hook.Watch
): HookWithHandler => ({
  identifier,
  onFailure,
  timeoutMillis,
  ...("offer" in handler ? { points: undefined, watch: handler } : { points: handler, watch: undefined })
})

export type Dispatch = Required<Omit<Hook.Points, "output">>

/** The points at which one hook stands; every point is named, so that none is forgotten. */
type Points = { readonly [Point in keyof Dispatch]: Dispatch[Point] | undefined }

export type Decided = (decision: Event.Data<"hook_decision">) => Effect.Effect<void>

/** Calls nothing in between: the dispatch of an agent without hooks. */
export const direct: Dispatch = {
  request: (call, next) => next(call),
  llm: (call, next) => next(call),
  tool: (call, next) => next(call),
  node: (call, next) => next(call),
  checkpoint: (call, next) => next(call),
  error: (failure) => Effect.succeed(failure)
}

/** A tool's hooks that observe and cannot change anything. */
export const transparent = new WeakSet<Dispatch["tool"]>([direct.tool])

/**
 * All hooks around each point, first declared outermost; what they change or refuse is journaled by `decided`. Inside of
 * all of them is `innermost`.
 */
export const dispatch = (
  hooks: ReadonlyArray<HookWithHandler>,
  runId: string,
  decided: Decided,
  innermost: Dispatch = direct
): Dispatch =>
  hooks.map((hook) => hook.watch === undefined ? intercepting(hook, decided) : observers(hook.watch, runId))
    .reduceRight(inside, innermost)

/** Puts one hook around another dispatch; a point that nobody stands at stays `direct`. */
const inside = (inner: Dispatch, outer: Points): Dispatch => {
  const { checkpoint, error, llm, node, request, tool } = outer
  return {
    request: request === undefined
      ? inner.request
      : (call, next) => request(call, (changed) => inner.request(changed, next)),
    llm: llm === undefined ? inner.llm : (call, next) => llm(call, (changed) => inner.llm(changed, next)),
    tool: tool === undefined ? inner.tool : (call, next) => tool(call, (changed) => inner.tool(changed, next)),
    node: node === undefined ? inner.node : (call, next) => node(call, (changed) => inner.node(changed, next)),
    checkpoint: checkpoint === undefined
      ? inner.checkpoint
      : (call, next) => checkpoint(call, (changed) => inner.checkpoint(changed, next)),
    error: error === undefined
      ? inner.error
      : (failure, call) => Effect.flatMap(inner.error(failure, call), (seen) => error(seen, call))
  }
}

/** The points of one hook, with its decisions journaled, its time limited and its failures handled as it declares. */
const intercepting = (hook: HookWithHandler, decided: Decided): Points => {
  const { checkpoint, error, llm, node, request, tool } = hook.points ?? {}
  const context = { hook, decided }
  return {
    request: request && ((call, next) => intercept({ ...context, point: "request" }, call, next, request)),
    llm: llm && ((call, next) => interceptStream(context, call, next, llm)),
    tool: tool && ((call, next) => intercept({ ...context, point: "tool" }, call, next, tool)),
    node: node && ((call, next) => intercept({ ...context, point: "node" }, call, next, node)),
    checkpoint: checkpoint && ((call, next) => intercept({ ...context, point: "checkpoint" }, call, next, checkpoint)),
    error: error && ((failure, call) => interceptError(context, failure, () => error(failure, call)))
  }
}

interface HookContext {
  readonly hook: HookWithHandler
  readonly decided: Decided
}

/** A changed call is a modification, a second one a retry. */
const admitting = <C>({ decided, hook: { identifier: hook } }: HookContext, point: Hook.Point, call: C) => {
  let calls = 0
  return (changed: C) =>
    Effect.suspend(() => {
      const retry = calls++ > 0 ? decided({ hook, point, decision: "retry" }) : Effect.void
      return changed === call ? retry : Effect.andThen(retry, decided({ hook, point, decision: "modify" }))
    })
}

const intercept = <C, A, E, R>(
  context: HookContext & { readonly point: Hook.Point },
  call: C,
  next: (call: C) => Effect.Effect<A, E, R>,
  handler: (call: C, next: (call: C) => Effect.Effect<A, E, R>) => Effect.Effect<A, E | HookBlocked, R>
): Effect.Effect<A, E | HookBlocked, R> =>
  counting(context.hook.timeoutMillis, (time) => {
    const admit = admitting(context, context.point, call)
    const theirs = new Set<unknown>()
    let running = 0
    let last: Exit.Exit<A, E> | undefined
    const admitted = (changed: C) =>
      Effect.suspend(() => {
        running++
        time.pause()
        return Effect.andThen(admit(changed), time.outsideOf(next(changed)))
      }).pipe(Effect.onExit((exit) =>
        Effect.sync(() => {
          running--
          time.resume()
          last = exit
          if (Exit.isFailure(exit)) { for (const defect of defectsOf(exit.cause)) theirs.add(defect) }
        })
      ))
    return Effect.catchCause(
      time.within(time.ofHook(Effect.suspend(() => handler(call, admitted)))),
      (cause): Effect.Effect<A, E | HookBlocked, R> => {
        const failure = ownFailure(cause, theirs)
        if (failure === undefined) {
          return Effect.andThen(refusing(context, context.point, cause), Effect.failCause(cause))
        }
        // A call that entered and did not return cannot be repeated: its effect is unknown.
        const way = running > 0 ? undefined : last ?? next(call)
        return failedItself(context, context.point, failure, way)
      }
    )
  })

const defectsOf = (cause: Cause.Cause<unknown>) => cause.reasons.filter(Cause.isDieReason).map(({ defect }) => defect)

/** Journals a refusal where it was made. */
const refusing = ({ decided, hook }: HookContext, point: Hook.Point, cause: Cause.Cause<unknown>) => {
  const refusal = cause.reasons.filter(Cause.isFailReason).map(({ error }) => error).find((error) =>
    error instanceof HookBlocked && error.hook === hook.identifier && error.point === point
  )
  return refusal instanceof HookBlocked
    ? decided({ hook: hook.identifier, point, decision: "block", reason: refusal.reason })
    : Effect.void
}

/** The same for a stream: its hook's time runs only while somebody waits for the next parts. */
const interceptStream = <C, A, E, R>(
  context: HookContext,
  call: C,
  next: (call: C) => Stream.Stream<A, E, R>,
  handler: (call: C, next: (call: C) => Stream.Stream<A, E, R>) => Stream.Stream<A, E | HookBlocked, R>
): Stream.Stream<A, E | HookBlocked, R> =>
  Stream.unwrap(counting(context.hook.timeoutMillis, (time) => {
    time.pause()
    const admit = admitting(context, "llm", call)
    const theirs = new Set<unknown>()
    let entered = false
    const admitted = (changed: C) => {
      entered = true
      return Stream.transformPull(Stream.unwrap(Effect.as(admit(changed), next(changed))), (pull) =>
        Effect.succeed(Effect.andThen(
          Effect.sync(() =>
            time.pause()
          ),
          Effect.onExit(pull, (exit) =>
            Effect.sync(() => {
              time.resume()
              if (Exit.isFailure(exit)) { for (const defect of defectsOf(exit.cause)) theirs.add(defect) }
            }))
        )))
    }
    const limited = Stream.transformPull(
      Stream.suspend(() => handler(call, admitted)),
      (pull) =>
        Effect.succeed(Effect.andThen(
          Effect.sync(() => time.resume()),
          Effect.ensuring(time.within(pull), Effect.sync(() => time.pause()))
        ))
    )
    return Effect.succeed(Stream.catchCause(limited, (cause): Stream.Stream<A, E | HookBlocked, R> => {
      const failure = ownFailure(cause, theirs)
      if (failure === undefined) {
        return Stream.unwrap(Effect.as(refusing(context, "llm", cause), Stream.failCause(cause)))
      }
      // The hook may have kept parts: an answer that has begun cannot go on without it.
      const way = entered ? undefined : Effect.succeed(next(call))
      return Stream.unwrap(failedItself(context, "llm", failure, way))
    }))
  }))

/** A failure whose error hook failed is shown unchanged only when the hook is open. */
const interceptError = (context: HookContext, failure: Event.Failure, shown: () => Effect.Effect<Event.Failure>) =>
  counting(context.hook.timeoutMillis, (time) =>
    Effect.catchCause(time.within(Effect.suspend(shown)), (cause) => {
      const own = ownFailure(cause, new Set())
      return own === undefined
        ? Effect.failCause(cause)
        : failedItself(context, "error", own, Effect.succeed(failure)).pipe(
          Effect.orElseSucceed(() => internalError)
        )
    }))
