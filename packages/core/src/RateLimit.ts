/**
 * The third stage of the door: how often.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect, Layer } from "effect"
import * as RateLimiter from "effect/persistence/RateLimiter"
import type { Caller } from "./Caller.ts"
import type { Principal } from "./Principal.ts"
import { RateLimited, StoreUnavailable } from "./RunError.ts"

/** @category services @since 0.1.0 */
export class RateLimit extends Context.Service<RateLimit, {
  readonly consume: (
    principal: Principal,
    target: string,
    protocol: Caller["protocol"]
  ) => Effect.Effect<void, RateLimited | StoreUnavailable>
}>()("@fastagentic/core/RateLimit") {}

/** No limit at all. @category layers @since 0.1.0 */
export const layerUnlimited: Layer.Layer<RateLimit> = Layer.succeed(RateLimit, { consume: () => Effect.void })

/**
 * A number of calls per window for each principal and target.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: {
  readonly limit: number
  readonly window: Duration.Input
}): Layer.Layer<RateLimit, never, RateLimiter.RateLimiter> =>
  Layer.effect(
    RateLimit,
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      return {
        consume: (principal, target) =>
          limiter.consume({
            algorithm: "fixed-window",
            onExceeded: "fail",
            window: options.window,
            limit: options.limit,
            key: `${principal.tenant}/${principal.id}/${target}`
          }).pipe(
            Effect.asVoid,
            Effect.mapError(({ reason }) =>
              reason._tag === "RateLimitExceeded"
                ? new RateLimited({
                  limit: options.limit,
                  retryAfterMillis: Math.ceil(Duration.toMillis(reason.retryAfter))
                })
                : new StoreUnavailable({ operation: "rate limit" })
            )
          )
      }
    })
  )

/** A `layer` that counts in memory. @category layers @since 0.1.0 */
export const layerMemory = (options: {
  readonly limit: number
  readonly window: Duration.Input
}): Layer.Layer<RateLimit> =>
  layer(options).pipe(Layer.provide(RateLimiter.layer), Layer.provide(RateLimiter.layerStoreMemory))
