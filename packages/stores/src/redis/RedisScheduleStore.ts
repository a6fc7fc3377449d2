/**
 * The progress of schedules, in Redis: one hash for each schedule, and one set for the schedules of an app.
 *
 * @since 0.1.0
 */
import { Mark, ScheduleStore } from "@fastagentic/core/runtime/ScheduleStore"
import type { Fact } from "@fastagentic/core/store/RunStore"
import { Effect, Layer, Schema } from "effect"
import * as Redis from "effect/persistence/Redis"
import { identityOf } from "./internal/identity.ts"
import * as Keys from "./internal/keys.ts"
import { outbox, prelude, script } from "./internal/script.ts"
import { factsOf } from "./internal/writes.ts"
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
    const kept = (facts: ReadonlyArray<Fact> | undefined) => Keys.list(factsOf(facts))
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
      set: (mark, after, facts) =>
        Effect.map(
          RedisClient.unavailable("write schedule")(
            write(prefix, [
              keyOf(mark.key),
              appOf(mark.app),
              `${after}`,
              `${mark.version}`,
              JSON.stringify(mark),
              ...kept(facts)
            ])
          ),
          (written) => written === 1
        ),
      remove: (key, version, facts) =>
        Effect.map(
          RedisClient.unavailable("remove schedule")(remove(prefix, [keyOf(key), `${version}`, ...kept(facts)])),
          (removed) => removed === 1
        ),
      outbox: identityOf({ prefix, redis })
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

const writeScript = script(`${prelude}${outbox}
  local key, app, after, version, mark, facts = take(), take(), take(), take(), take(), many()
  local before = redis.call('HGET', key, 'version') or '0'
  if before ~= after then return 0 end
  if not keeps(facts) then return refused() end
  redis.call('HSET', key, 'version', version, 'mark', mark, 'app', app)
  redis.call('SADD', app, key)
  note(facts)
  return 1
`)

const removeScript = script(`${prelude}${outbox}
  local key, version, facts = take(), take(), many()
  local found = redis.call('HMGET', key, 'version', 'app')
  if found[1] ~= version then return 0 end
  if not keeps(facts) then return refused() end
  note(facts)
  if found[2] then redis.call('SREM', found[2], key) end
  redis.call('DEL', key)
  return 1
`)

/** Marks of a version before this one name no app, and no tick of theirs waits. */
const Stored = Schema.fromJsonString(Schema.Struct({
  ...Mark.fields,
  app: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed(""))),
  waiting: Mark.fields.waiting.pipe(Schema.withDecodingDefaultKey(Effect.succeed([])))
}))
const decode: (text: unknown) => Effect.Effect<Mark, Schema.SchemaError> = Schema.decodeUnknownEffect(Stored)
const decodeAll: (texts: unknown) => Effect.Effect<ReadonlyArray<Mark>, Schema.SchemaError> = Schema
  .decodeUnknownEffect(Schema.Array(Stored))
