/**
 * The audit trail in Redis: one list for each tenant.
 *
 * @since 0.1.0
 */
import { Audit } from "@fastagentic/core/Audit"
import { Effect, Layer, Schema } from "effect"
import * as RedisClient from "./RedisClient.ts"

/** How many entries `recent` goes back. */
const RECENT = 10_000

/**
 * An audit trail on whatever `RedisClient` is there.
 *
 * **Gotchas**
 *
 * An entry that cannot be written is a defect: what cannot be audited does not go on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Audit["Service"], never, RedisClient.RedisClient> = Effect.map(
  RedisClient.RedisClient,
  ({ prefix, redis }) => {
    const trail = (tenant: string) => `${prefix}audit:${JSON.stringify(tenant)}`
    return Audit.of({
      record: (entry) =>
        redis.send("RPUSH", trail(entry.tenant), JSON.stringify(entry)).pipe(
          RedisClient.unavailable("record an audit entry"),
          Effect.orDie,
          Effect.asVoid
        ),
      recent: (tenant) =>
        redis.send("LRANGE", trail(tenant), `${-RECENT}`, "-1").pipe(
          RedisClient.unavailable("recent audit entries"),
          Effect.flatMap(decodeEntries),
          Effect.orDie
        )
    })
  }
)

/**
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<Audit, never, RedisClient.RedisClient> = Layer.effect(Audit, make)

const decodeEntries = Schema.decodeUnknownEffect(Schema.Array(Schema.fromJsonString(Schema.Struct({
  at: Schema.Int,
  tenant: Schema.String,
  principal: Schema.String,
  action: Schema.String,
  target: Schema.String,
  decision: Schema.String,
  runId: Schema.optionalKey(Schema.String),
  traceId: Schema.String
}))))
