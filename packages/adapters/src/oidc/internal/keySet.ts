// Keeps the issuer's keys fresh; callers cannot make it ask more often than once per `spacing`.
import { Deferred, Duration, Effect, Schedule } from "effect"
import * as Jose from "jose"
import * as Issuer from "./issuer.ts"

/** The issuer's keys, as last seen. */
export interface KeySet {
  readonly resolve: Jose.JWTVerifyGetKey
  /** Whether the issuer answered the last request. */
  readonly reachable: () => boolean
  /** Requests the keys again; callers that wait for the same request share its answer. */
  readonly refresh: Effect.Effect<void>
}

/**
 * Keeps the keys fresh. When the issuer does not answer, the last keys stay in use. Requests are at least `spacing`
 * apart, for any tokens that callers send.
 */
export const make = Effect.fnUntraced(function*(metadata: Issuer.Metadata, options: {
  readonly interval: Duration.Input
  readonly spacing: Duration.Input
  /** A known key has been withdrawn. */
  readonly onRemoved: () => void
}) {
  const services = yield* Effect.context<Effect.Services<ReturnType<typeof Issuer.readKeys>>>()
  const scope = yield* Effect.scope
  const clock = yield* Effect.clockWith(Effect.succeed)
  const spacing = Duration.toMillis(options.spacing)

  let known = new Set<string>()
  let local: Jose.JWTVerifyGetKey
  let reachable = true
  let askedAt = clock.currentTimeMillisUnsafe()
  let waiting: Deferred.Deferred<void> | undefined

  const take = (keys: ReadonlyArray<Issuer.Key>) => {
    const texts = new Set(keys.map((key) => JSON.stringify(key)))
    if (![...known].every((text) => texts.has(text))) options.onRemoved()
    if (texts.size !== known.size || ![...texts].every((text) => known.has(text))) {
      local = Jose.createLocalJWKSet({ keys: [...keys] })
    }
    known = texts
    reachable = true
  }

  const ask = Issuer.readKeys(metadata).pipe(
    Effect.provideContext(services),
    Effect.map(take),
    Effect.catchTag("OidcUnavailable", (error) => {
      reachable = false
      return Effect.logWarning(`${error.message}; its last keys stay in use`)
    })
  )

  const refresh = Effect.suspend(() => {
    if (waiting !== undefined) return Deferred.await(waiting)
    const answer = waiting = Deferred.makeUnsafe<void>()
    const asking = Effect.sleep(Math.max(0, askedAt + spacing - clock.currentTimeMillisUnsafe())).pipe(
      Effect.andThen(Effect.suspend(() => {
        waiting = undefined
        askedAt = clock.currentTimeMillisUnsafe()
        return ask
      })),
      Effect.ensuring(Deferred.succeed(answer, undefined))
    )
    // The request runs in its own fiber: other callers wait for it as well.
    return Effect.andThen(Effect.forkIn(asking, scope), Deferred.await(answer))
  })

  take(yield* Issuer.readKeys(metadata))
  yield* Effect.forkScoped(Effect.schedule(refresh, Schedule.spaced(options.interval)))

  const keySet: KeySet = { resolve: (header, token) => local(header, token), reachable: () => reachable, refresh }
  return keySet
})
