// The heartbeat of a node on a shared store; `lease.ts` of PostgreSQL and of Redis call it.
import { Duration, Effect, Schedule, type Scope } from "effect"

/**
 * Renews a lease three times in its length, on a connection of its own, so that neither a busy pool nor a long query
 * delays it. A connection that does not answer is closed while there is still time for another.
 *
 * The result says whether this node may take over runs of nodes whose lease ended: after a time in which this node
 * could not renew, other nodes could not either, and they get one lease to come back.
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
      return Effect.logWarning("This node cannot renew its lease", error.message)
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
