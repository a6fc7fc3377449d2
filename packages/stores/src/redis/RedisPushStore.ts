/**
 * Push targets, in Redis: one hash for each run, and one sorted set of all targets by the time at which they are due.
 *
 * @since 0.1.0
 */
import { byId, PushStore, PushTarget } from "@fastagentic/core/store/PushStore"
import { Effect, Layer, Schema } from "effect"
import * as Redis from "effect/persistence/Redis"
import * as RedisClient from "./RedisClient.ts"

/**
 * Targets on a given `RedisClient`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<PushStore, never, RedisClient.RedisClient> = Layer.effect(
  PushStore,
  Effect.map(RedisClient.RedisClient, ({ prefix, redis }) => {
    const keyOf = (runId: string) => `${prefix}push:${JSON.stringify(runId)}`
    const index = `${prefix}push-due`
    const [write, remove, due] = [redis.eval(writeScript), redis.eval(removeScript), redis.eval(dueScript)]
    return PushStore.of({
      list: (runId) =>
        redis.send("HVALS", keyOf(runId)).pipe(
          RedisClient.answered("read push targets", decodeAll),
          Effect.map((targets) => targets.toSorted(byId))
        ),
      set: (target, after) =>
        Effect.map(
          RedisClient.unavailable("write push target")(
            write([keyOf(target.runId), index], [target.id, `${after}`, `${target.dueAt}`, JSON.stringify(target)])
          ),
          (written) => written === 1
        ),
      remove: (runId, id, version) => {
        const args = version === undefined ? [id] : [id, `${version}`]
        return Effect.asVoid(RedisClient.unavailable("remove push target")(remove([keyOf(runId), index], args)))
      },
      due: ({ limit, now }) =>
        due([index], [`${now}`, `${limit}`]).pipe(RedisClient.answered("due push targets", decodeAll))
    })
  })
)

type Script = readonly [keys: ReadonlyArray<string>, args: ReadonlyArray<string>]

const flat = (...[keys, args]: Script) => [...keys, ...args]

/** A member of the index names the hash and the field of its target. */
const writeScript = Redis.script(flat, {
  numberOfKeys: 2,
  lua: `
    local kept = redis.call('HGET', KEYS[1], ARGV[1])
    local version = kept and string.format('%.0f', cjson.decode(kept).version) or '0'
    if version ~= ARGV[2] then return 0 end
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
    redis.call('ZADD', KEYS[2], ARGV[3], cjson.encode({ KEYS[1], ARGV[1] }))
    return 1
  `
}).withReturnType<unknown>()

const removeScript = Redis.script(flat, {
  numberOfKeys: 2,
  lua: `
    if ARGV[2] then
      local kept = redis.call('HGET', KEYS[1], ARGV[1])
      if not kept or string.format('%.0f', cjson.decode(kept).version) ~= ARGV[2] then return 0 end
    end
    redis.call('HDEL', KEYS[1], ARGV[1])
    redis.call('ZREM', KEYS[2], cjson.encode({ KEYS[1], ARGV[1] }))
    return 1
  `
}).withReturnType<unknown>()

const dueScript = Redis.script(flat, {
  numberOfKeys: 1,
  lua: `
    local targets = {}
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])) do
      local place = cjson.decode(member)
      local target = redis.call('HGET', place[1], place[2])
      if target then targets[#targets + 1] = target end
    end
    return targets
  `
}).withReturnType<unknown>()

const Stored = Schema.fromJsonString(PushTarget)
const decodeAll: (texts: unknown) => Effect.Effect<ReadonlyArray<PushTarget>, Schema.SchemaError> = Schema
  .decodeUnknownEffect(Schema.Array(Stored))
