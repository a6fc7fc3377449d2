/**
 * The progress of schedules, in Redis: one hash for each schedule, and one set for the schedules of an app.
 *
 * @since 0.1.0
 */
import { Mark, ScheduleStore } from "@fastagentic/core/runtime/ScheduleStore"
import { Effect, Layer, Schema } from "effect"
import * as Redis from "effect/persistence/Redis"
import * as RedisClient from "./RedisClient.ts"

/**
 * Marks on a given `RedisClient`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<ScheduleStore, never, RedisClient.RedisClient> = Layer.effect(
  ScheduleStore,
  Effect.map(RedisClient.RedisClient, ({ prefix, redis }) => {
    const keyOf = (key: string) => `${prefix}schedule:${JSON.stringify(key)}`
    const appOf = (app: string) => `${prefix}schedules:${JSON.stringify(app)}`
    const [read, write, remove] = [redis.eval(listScript), redis.eval(writeScript), redis.eval(removeScript)]
    return ScheduleStore.of({
      get: (key) =>
        redis.send("HGET", keyOf(key), "mark").pipe(
          RedisClient.answered("read schedule", (text) => text === null ? Effect.undefined : decode(text))
        ),
      list: (app) =>
        read(appOf(app)).pipe(
          RedisClient.answered("read schedules", decodeAll),
          Effect.map((marks) => marks.toSorted((a, b) => a.key < b.key ? -1 : 1))
        ),
      set: (mark, after) =>
        Effect.map(
          RedisClient.unavailable("write schedule")(
            write(keyOf(mark.key), appOf(mark.app), after, mark.version, JSON.stringify(mark))
          ),
          (written) => written === 1
        ),
      remove: (key, version) =>
        Effect.map(
          RedisClient.unavailable("remove schedule")(remove(keyOf(key), version)),
          (removed) => removed === 1
        )
    })
  })
)

const listScript = Redis.script((app: string) => [app], {
  numberOfKeys: 1,
  lua: `
    local marks = {}
    for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do
      local mark = redis.call('HGET', key, 'mark')
      if mark then marks[#marks + 1] = mark end
    end
    return marks
  `
}).withReturnType<unknown>()

const writeScript = Redis.script(
  (
    key: string,
    app: string,
    after: number,
    version: number,
    mark: string
  ) => [key, app, `${after}`, `${version}`, mark],
  {
    numberOfKeys: 2,
    lua: `
      local version = redis.call('HGET', KEYS[1], 'version') or '0'
      if version ~= ARGV[1] then return 0 end
      redis.call('HSET', KEYS[1], 'version', ARGV[2], 'mark', ARGV[3], 'app', KEYS[2])
      redis.call('SADD', KEYS[2], KEYS[1])
      return 1
    `
  }
).withReturnType<unknown>()

const removeScript = Redis.script((key: string, version: number) => [key, `${version}`], {
  numberOfKeys: 1,
  lua: `
    local found = redis.call('HMGET', KEYS[1], 'version', 'app')
    if found[1] ~= ARGV[1] then return 0 end
    if found[2] then redis.call('SREM', found[2], KEYS[1]) end
    redis.call('DEL', KEYS[1])
    return 1
  `
}).withReturnType<unknown>()

/** Marks of a version before this one name no app, and no tick of theirs waits. */
const Stored = Schema.fromJsonString(Schema.Struct({
  ...Mark.fields,
  app: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed(""))),
  waiting: Mark.fields.waiting.pipe(Schema.withDecodingDefaultKey(Effect.succeed([])))
}))
const decode: (text: unknown) => Effect.Effect<Mark, Schema.SchemaError> = Schema.decodeUnknownEffect(Stored)
const decodeAll: (texts: unknown) => Effect.Effect<ReadonlyArray<Mark>, Schema.SchemaError> = Schema
  .decodeUnknownEffect(Schema.Array(Stored))
