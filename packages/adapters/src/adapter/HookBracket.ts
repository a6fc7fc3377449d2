/**
 * A hook stands around a call; a framework only tells when a call starts and when it has ended. A bracket joins the two.
 *
 * @since 0.1.0
 */
import type { Hook } from "@fastagentic/core"
import { HookBlocked } from "@fastagentic/core/run/RunError"
import { Cause, Deferred, Effect, Exit, Fiber, Option } from "effect"

/**
 * A call that the hooks have let in.
 *
 * @category models
 * @since 0.1.0
 */
export interface HookBracket<A, E> {
  /** Tells the hooks how the call ended; fails when they refuse what came back. */
  readonly end: (exit: Exit.Exit<A, E>) => Effect.Effect<void, HookBlocked>
}

/**
 * The refusal of a wish that cannot be granted: a framework that runs its own calls lets us stop them, not change, skip
 * or repeat them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const notEnforceable = (point: keyof Hook.Points): HookBlocked =>
  new HookBlocked({
    hook: "adapter",
    point,
    reason: "a hook asked for more than allowing or refusing this call, and this agent can do no more"
  })

/** The refusal in a cause. @category getters @since 0.1.0 */
export const refusalIn = <E>(cause: Cause.Cause<E>): HookBlocked | undefined => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  return error instanceof HookBlocked ? error : undefined
}

/**
 * Opens a bracket: succeeds when the hooks let the call in, fails when they refuse it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = Effect.fnUntraced(function*<Call, A, E>(
  point: keyof Hook.Points,
  call: Call,
  around: (
    call: Call,
    next: (call: Call) => Effect.Effect<A, E | HookBlocked>
  ) => Effect.Effect<A, E | HookBlocked>
) {
  const admitted = yield* Deferred.make<void, HookBlocked>()
  const ended = yield* Deferred.make<A, E>()
  let entered = false

  const next = (changed: Call) =>
    Effect.suspend((): Effect.Effect<A, E | HookBlocked> => {
      if (entered || changed !== call) return Effect.fail(notEnforceable(point))
      entered = true
      return Effect.andThen(Deferred.succeed(admitted, undefined), Deferred.await(ended))
    })

  const fiber = yield* around(call, next).pipe(
    Effect.onExit((exit) => {
      if (entered) return Effect.void
      if (Exit.isSuccess(exit)) return Deferred.fail(admitted, notEnforceable(point))
      const refusal = refusalIn(exit.cause)
      return refusal === undefined
        ? Deferred.die(admitted, Cause.squash(exit.cause))
        : Deferred.fail(admitted, refusal)
    }),
    Effect.forkScoped
  )

  const end = Effect.fnUntraced(function*(exit: Exit.Exit<A, E>) {
    yield* Deferred.done(ended, exit)
    const word = yield* Fiber.await(fiber)
    if (Exit.isFailure(word)) {
      const refusal = refusalIn(word.cause)
      if (refusal !== undefined) return yield* refusal
      return Exit.isFailure(exit) ? undefined : yield* Effect.die(Cause.squash(word.cause))
    }
    if (Exit.isSuccess(exit) && word.value !== exit.value) return yield* notEnforceable(point)
  })

  yield* Deferred.await(admitted)
  return { end } satisfies HookBracket<A, E>
})
