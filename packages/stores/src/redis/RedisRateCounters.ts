/**
 * Counters of rate limits in Redis, shared by many nodes.
 *
 * @since 0.1.0
 */
import { RateCounters } from "@fastagentic/core/door/RateCounters"
import { Effect, Layer, Schema } from "effect"
import { takeRates } from "./internal/takeRates.ts"
import * as RedisClient from "./RedisClient.ts"

/**
 * Counters on a given `RedisClient`.
 *
 * **Details**
 *
 * A call is one script, and Redis runs one script at a time. A counter is a hash that expires with its window.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<RateCounters["Service"], never, RedisClient.RedisClient> = Effect.map(
  RedisClient.RedisClient,
  ({ prefix, redis }) => {
    const evaluate = redis.eval(takeRates)
    return RateCounters.of({
      take: (counters) =>
        evaluate(
          prefix,
          counters.flatMap(({ algorithm, key, limit, windowMillis }) => [key, `${limit}`, `${windowMillis}`, algorithm])
        ).pipe(
          RedisClient.answered("rate limit", decodeReply),
          Effect.map((reply) =>
            reply.map(([allowed, used, resetMillis]) => ({ allowed: allowed === "1", used, resetMillis }))
          )
        )
    })
  }
)

/**
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<RateCounters, never, RedisClient.RedisClient> = Layer.effect(
  RateCounters,
  make
)

const decodeReply = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Tuple([Schema.String, Schema.FiniteFromString, Schema.FiniteFromString]))
)
