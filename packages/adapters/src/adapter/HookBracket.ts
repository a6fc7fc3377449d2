/**
 * A hook wraps a call, but a framework only reports the start and the end of a call. A bracket joins the two.
 *
 * @since 0.1.0
 */
import type { Hook } from "@fastagentic/core"
import { HookBlocked } from "@fastagentic/core/run/RunError"
import { Cause, Deferred, Effect, Exit, Fiber, Option } from "effect"

/**
 * A call that the hooks have allowed.
 *
 * @category models
 * @since 0.1.0
 */
export interface HookBracket<A, E> {
  /** Reports the end of the call to the hooks; fails when they refuse the result. */
  readonly end: (exit: Exit.Exit<A, E>) => Effect.Effect<void, HookBlocked>
}

/**
 * The refusal of a hook decision that cannot be applied: a framework that runs its own calls can be stopped, but its calls
 * cannot be changed, skipped or repeated.
 *
 * @category constructors
 * @since 0.1.0
 */
export const notEnforceable = (point: keyof Hook.Points): HookBlocked =>
  new HookBlocked({
    hook: "adapter",
    point,
    reason: "a hook tried to change, skip or repeat this call, but this agent only supports allowing or refusing it"
  })

/** The refusal in a cause. @category getters @since 0.1.0 */
export const refusalIn = <E>(cause: Cause.Cause<E>): HookBlocked | undefined => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  return error instanceof HookBlocked ? error : undefined
}

/**
 * Opens a bracket: succeeds when the hooks allow the call, fails when they refuse it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = Effect.fnUntraced(function*<Call, A, E>(
  point: keyof Hook.Points,
  call: Call,
  hooks: (
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

  const fiber = yield* hooks(call, next).pipe(
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
