/**
 * How far schedules have come, in Redis: one hash for each schedule.
 *
 * @since 0.1.0
 */
import { type Mark, ScheduleStore } from "@fastagentic/core/runtime/ScheduleStore"
import { Effect, Layer, Schema } from "effect"
import * as Redis from "effect/persistence/Redis"
import * as RedisClient from "./RedisClient.ts"

/**
 * Marks on whatever `RedisClient` is there.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<ScheduleStore, never, RedisClient.RedisClient> = Layer.effect(
  ScheduleStore,
  Effect.map(RedisClient.RedisClient, ({ prefix, redis }) => {
    const keyOf = (key: string) => `${prefix}schedule:${JSON.stringify(key)}`
    const write = redis.eval(writeScript)
    return ScheduleStore.of({
      get: (key) =>
        redis.send("HGET", keyOf(key), "mark").pipe(
          RedisClient.answered("read schedule", (text) => text === null ? Effect.undefined : decode(text))
        ),
      set: (mark) =>
        Effect.map(
          RedisClient.unavailable("write schedule")(write(keyOf(mark.key), mark.version, JSON.stringify(mark))),
          (written) => written === 1
        )
    })
  })
)

const writeScript = Redis.script((key: string, version: number, mark: string) => [key, `${version}`, mark], {
  numberOfKeys: 1,
  lua: `
    local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
    if version ~= tonumber(ARGV[1]) - 1 then return 0 end
    redis.call('HSET', KEYS[1], 'version', ARGV[1], 'mark', ARGV[2])
    return 1
  `
}).withReturnType<unknown>()

const decode: (text: unknown) => Effect.Effect<Mark, Schema.SchemaError> = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Struct({
    key: Schema.String,
    version: Schema.Int,
    upto: Schema.Int,
    fired: Schema.optionalKey(Schema.Int),
    paused: Schema.Boolean
  }))
)
