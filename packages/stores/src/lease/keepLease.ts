import { Duration, Effect, Schedule, type Scope } from "effect"

/**
 * Says three times in the length of a lease that this node is alive, on a connection of its own: neither a busy pool
 * nor a long answer to somebody else holds it up. A connection that does not answer is given up while there is still
 * time for another.
 *
 * The result says whether the leases of others mean something: after a time in which this node could not be heard,
 * they could not be heard either, and get one lease to come back.
 */
export const keepLease = Effect.fnUntraced(function*<E, E2 extends Error>(options: {
  readonly lease: Duration.Duration
  readonly renew: Effect.Effect<unknown, E>
  readonly forget: Effect.Effect<unknown, E>
  readonly connect: Effect.Effect<Effect.Effect<unknown, E2>, E2, Scope.Scope>
}): Effect.fn.Return<() => boolean, E, Scope.Scope> {
  const { lease } = options
  const millis = Duration.toMillis(lease)
  yield* Effect.acquireRelease(options.renew, () => Effect.ignore(options.forget))
  let renewed = performance.now()
  let broken = -Infinity
  let warned = false

  const alive = Effect.sync(() => {
    const now = performance.now()
    if (now - renewed > millis) broken = now
    renewed = now
    warned = false
  })
  const beat = (renew: Effect.Effect<unknown, E2>) =>
    Effect.timeout(renew, Duration.divideUnsafe(lease, 2)).pipe(
      Effect.andThen(alive),
      Effect.andThen(Effect.sleep(Duration.divideUnsafe(lease, 3))),
      Effect.forever
    )
  const warn = (error: Error) =>
    Effect.suspend(() => {
      if (warned) return Effect.void
      warned = true
      return Effect.logWarning("This node cannot say that it is alive", error.message)
    })

  yield* Effect.timeout(options.connect, lease).pipe(
    Effect.flatMap(beat),
    Effect.scoped,
    Effect.tapError(warn),
    Effect.retry(Schedule.spaced(Duration.divideUnsafe(lease, 6))),
    Effect.forkScoped
  )
  return () => performance.now() - renewed <= millis && performance.now() - broken > millis
})
