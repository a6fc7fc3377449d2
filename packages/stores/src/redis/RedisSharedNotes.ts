/**
 * Notes that the nodes of an app share, in Redis: a key for each note, and their order in a sorted set.
 *
 * @since 0.1.0
 */
import { Note, SharedNotes } from "@fastagentic/core/store/SharedNotes"
import { Effect, Layer, Schema } from "effect"
import * as Redis from "effect/persistence/Redis"
import * as RedisClient from "./RedisClient.ts"

/**
 * Notes on a given `RedisClient`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<SharedNotes, never, RedisClient.RedisClient> = Layer.effect(
  SharedNotes,
  Effect.map(RedisClient.RedisClient, ({ prefix, redis }) => {
    const keyOf = (key: string) => `${prefix}note:${key}`
    const order = `${prefix}notes`
    const numbers = `${prefix}notes:last`
    const [write, read] = [redis.eval(writeScript), redis.eval(readScript)]
    return SharedNotes.of({
      put: (note) =>
        Effect.asVoid(
          RedisClient.unavailable("write note")(
            write(order, numbers, keyOf(note.key), JSON.stringify(note), note.expiresAt)
          )
        ),
      get: (key) =>
        redis.send("GET", keyOf(key)).pipe(
          RedisClient.answered("read note", (text) => text === null ? Effect.undefined : decode(text))
        ),
      since: (cursor) =>
        read(order, numbers, cursor ?? "").pipe(
          RedisClient.answered("read notes", decodePage),
          Effect.map(([last, notes]) => ({ notes, cursor: last }))
        )
    })
  })
)

const writeScript = Redis.script(
  (order: string, numbers: string, key: string, note: string, expiresAt: number) => [
    order,
    numbers,
    key,
    note,
    `${expiresAt}`
  ],
  {
    numberOfKeys: 3,
    lua: `
      for _, key in ipairs(redis.call('ZRANGE', KEYS[1], 0, 9)) do
        if redis.call('EXISTS', key) == 0 then redis.call('ZREM', KEYS[1], key) end
      end
      local seq = redis.call('INCR', KEYS[2])
      redis.call('SET', KEYS[3], ARGV[1], 'PXAT', ARGV[2])
      redis.call('ZADD', KEYS[1], seq, KEYS[3])
      return seq
    `
  }
).withReturnType<unknown>()

const readScript = Redis.script((order: string, numbers: string, cursor: string) => [order, numbers, cursor], {
  numberOfKeys: 2,
  lua: `
    local last = redis.call('GET', KEYS[2]) or '0'
    local notes = {}
    if ARGV[1] ~= '' then
      for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf')) do
        local note = redis.call('GET', key)
        if note then notes[#notes + 1] = note end
      end
    end
    return { last, notes }
  `
}).withReturnType<unknown>()

const Stored = Schema.fromJsonString(Note)
const decode: (text: unknown) => Effect.Effect<Note, Schema.SchemaError> = Schema.decodeUnknownEffect(Stored)
const decodePage = Schema.decodeUnknownEffect(Schema.Tuple([Schema.String, Schema.Array(Stored)]))
