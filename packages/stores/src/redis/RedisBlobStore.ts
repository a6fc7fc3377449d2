/**
 * Files of callers, and large values where an app asks for it, in Redis.
 *
 * @since 0.1.0
 */
import * as BlobStore from "@fastagentic/core/store/BlobStore"
import { Clock, Effect, Layer, Schema } from "effect"
import * as Base64 from "effect/encoding/Base64"
import * as Redis from "effect/persistence/Redis"
import * as RedisClient from "./RedisClient.ts"

/** How many bytes a field has at most; a command with more would hold up all others. */
const chunkBytes = 256 * 1_024

/** How many blobs a page of the list has. */
const pageSize = 256

/**
 * Blobs on a given `RedisClient`.
 *
 * **Details**
 *
 * A blob is one hash: its bytes in chunks, and a field that says that they are all there, which is written last. An index
 * has the keys in their order.
 *
 * **Gotchas**
 *
 * All blobs are in the memory of Redis, in base64. A large amount of files belongs into a folder or a bucket.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<BlobStore.BlobStore["Service"], never, RedisClient.RedisClient> = Effect.map(
  RedisClient.RedisClient,
  ({ prefix, redis }) => {
    const index = `${prefix}blobs`
    const hash = (key: string) => `${prefix}blob:${key}`
    const [begin, remove] = [redis.eval(beginScript), redis.eval(removeScript)]

    const chunk = (key: string, position: number) =>
      Effect.flatMap(redis.send("HGET", hash(key), `${position}`), decodeChunk)

    const sizeOf = (key: string) => Effect.flatMap(redis.send("HMGET", hash(key), "size", "at", "whole"), decodeFacts)

    const read = Effect.fnUntraced(function*(key: string) {
      const [size, , whole] = yield* sizeOf(key)
      if (size === null || whole === null) return undefined
      const bytes = new Uint8Array(size)
      for (let at = 0; at < size; at += chunkBytes) {
        const part = yield* chunk(key, at / chunkBytes)
        // A blob that was removed meanwhile is as good as removed before.
        if (part === undefined || at + part.length > size) return undefined
        bytes.set(part, at)
      }
      return bytes
    })

    const write = Effect.fnUntraced(function*(key: string, bytes: Uint8Array) {
      const at = yield* Clock.currentTimeMillis
      if ((yield* begin(index, hash(key), key, `${bytes.length}`, `${at}`)) === 1) return
      for (let from = 0; from < bytes.length; from += chunkBytes) {
        const part = Base64.encode(bytes.subarray(from, from + chunkBytes))
        yield* redis.send("HSET", hash(key), `${from / chunkBytes}`, part)
      }
      yield* redis.send("HSET", hash(key), "whole", "1")
    })

    const list = Effect.fnUntraced(function*(after: string) {
      const from = after === "" ? "-" : `(${after}`
      const reply = yield* redis.send("ZRANGEBYLEX", index, from, "+", "LIMIT", "0", `${pageSize}`)
      const keys = yield* decodeKeys(reply)
      return yield* Effect.forEach(
        keys,
        (key) => Effect.map(sizeOf(key), ([size, at]): BlobStore.Listed => ({ key, bytes: size ?? 0, at: at ?? 0 })),
        {
          concurrency: 16
        }
      )
    })

    const done = <A, E>(operation: string, effect: Effect.Effect<A, E | Redis.RedisError>) =>
      RedisClient.unavailable(operation)(
        Effect.mapError(effect, (cause) => cause instanceof Redis.RedisError ? cause : new Redis.RedisError({ cause }))
      )

    return BlobStore.make({
      write: (key, bytes) => done(`put blob ${key}`, write(key, bytes)),
      read: (key) => done(`get blob ${key}`, read(key)),
      start: (key, length) =>
        done(
          `get the start of blob ${key}`,
          Effect.flatMap(sizeOf(key), ([size]) =>
            size === null
              ? Effect.undefined
              : Effect.map(chunk(key, 0), (bytes) => (bytes ?? new Uint8Array()).slice(0, length)))
        ),
      list: (after) => done("list blobs", list(after)),
      has: (key) => done(`look for blob ${key}`, Effect.map(sizeOf(key), ([, , whole]) => whole !== null)),
      remove: (key) => done(`remove blob ${key}`, Effect.asVoid(remove(index, hash(key), key)))
    })
  }
)

/** @category layers @since 0.1.0 */
export const layerNoClient: Layer.Layer<BlobStore.BlobStore, never, RedisClient.RedisClient> = Layer.effect(
  BlobStore.BlobStore,
  make
)

const decodeText = Schema.decodeUnknownEffect(Schema.NullOr(Schema.String))
const decodeChunk = (reply: unknown) =>
  Effect.flatMap(decodeText(reply), (text) => text === null ? Effect.undefined : Effect.fromResult(Base64.decode(text)))
const decodeKeys = Schema.decodeUnknownEffect(Schema.Array(Schema.String))
const Number = Schema.NullOr(Schema.FiniteFromString)
const decodeFacts = Schema.decodeUnknownEffect(Schema.Tuple([Number, Number, Number]))

/** 1 when all bytes of a blob are there: then only its time is new. */
const beginScript = Redis.script((index: string, hash: string, key: string, size: string, at: string) => [
  index,
  hash,
  key,
  size,
  at
], {
  numberOfKeys: 2,
  lua: `
    redis.call("HSET", KEYS[2], "size", ARGV[2], "at", ARGV[3])
    redis.call("ZADD", KEYS[1], 0, ARGV[1])
    return redis.call("HEXISTS", KEYS[2], "whole")`
}).withReturnType<number>()

const removeScript = Redis.script((index: string, hash: string, key: string) => [index, hash, key], {
  numberOfKeys: 2,
  lua: `
    redis.call("DEL", KEYS[2])
    return redis.call("ZREM", KEYS[1], ARGV[1])`
}).withReturnType<number>()
