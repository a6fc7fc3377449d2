/**
 * The connection that every store on Redis shares.
 *
 * @since 0.1.0
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Timings from "@fastagentic/core/base/Timings"
import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { type Cause, Context, Effect, Layer, Redacted } from "effect"
import * as Redis from "effect/persistence/Redis"
import type { ConnectionOptions } from "node:tls"
import { createClient } from "redis"
import { type Settings, settingsOf } from "./internal/connection.ts"

/**
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * `redis://user:password@host:6379/0`. Off this machine, and with `rediss://`, the connection is encrypted and the
   * certificate verified, unless `?tls=disable` says otherwise; `cacert` is the file of a certificate authority. An option
   * that is not understood is refused.
   */
  readonly url: Redacted.Redacted
  /** Whether to use TLS, and how; takes precedence over the URL. */
  readonly tls?: boolean | ConnectionOptions | undefined
  /** The prefix of every key, which keeps apps in one Redis apart. Also `?prefix=` in the URL. Defaults to `fastagentic:`. */
  readonly prefix?: string | undefined
}

/**
 * The connection to Redis, and the prefix of all keys.
 *
 * @category services
 * @since 0.1.0
 */
export class RedisClient extends Context.Service<RedisClient, {
  readonly prefix: string
  readonly redis: Redis.Redis["Service"]
  /** Another connection, not yet open, that reconnects by itself. */
  readonly duplicate: () => ReturnType<NodeRedis.NodeRedis["Service"]["client"]["duplicate"]>
}>()("@fastagentic/stores/redis/RedisClient") {}

/**
 * Connects, logs which data this Redis may lose, and reconnects when the connection is lost.
 *
 * **Details**
 *
 * Without a connection every operation fails at once. An operation without an answer fails after 30 seconds; it is then
 * unknown whether Redis carried it out.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<RedisClient, Redis.RedisError> =>
  Layer.unwrap(Effect.map(
    Effect.mapError(Effect.fromResult(settingsOf(Redacted.value(options.url), options.tls)), unusableUrl),
    (settings) =>
      Layer.effect(
        RedisClient,
        Effect.gen(function*() {
          const redis = yield* Redis.Redis
          const { client } = yield* NodeRedis.NodeRedis
          yield* warnAboutLoss(redis)
          const prefix = options.prefix ?? settings.prefix ?? "fastagentic:"
          return { prefix, redis, duplicate: () => client.duplicate() }
        })
      ).pipe(Layer.provide(connection(settings)))
  ))

const unusableUrl = (problem: string) =>
  new Redis.RedisError({ cause: new Error(`The URL of Redis cannot be used: ${problem}`) })

const connection = (settings: Settings) =>
  Layer.unwrap(
    Effect.as(reachable(settings), NodeRedis.layer({ ...clientOptions(settings), disableOfflineQueue: true }))
  )

const clientOptions = ({ tls, url }: Settings) => ({
  url,
  RESP: 2 as const,
  ...(tls === undefined ? {} : { socket: { ...tls, tls: true as const } })
})

/** Connects once with a time limit, because the client would wait for ever for a server that never answers. */
const reachable = (settings: Settings) => {
  const { socket, ...options } = clientOptions(settings)
  return Effect.acquireUseRelease(
    Effect.try(() =>
      createClient({ ...options, socket: { ...socket, reconnectStrategy: false } }).on("error", () => {})
    ),
    (client) => Effect.tryPromise(() => client.connect()).pipe(Effect.timeout("5 seconds")),
    (client) => Effect.sync(() => client.isOpen && client.destroy())
  ).pipe(
    Effect.mapError((cause) => new Redis.RedisError({ cause: settings.tls === undefined ? cause : withoutTls(cause) }))
  )
}

/** A server without TLS only closes the connection, or never answers. */
const withoutTls = (cause: Cause.UnknownError | Cause.TimeoutError) => {
  const { message } = cause.cause instanceof Error ? cause.cause : cause
  return new Error(`${message} (over TLS; in a trusted network, ?tls=disable does without)`, { cause })
}

// durability

const needed = { "appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction" }

const warnAboutLoss = Effect.fnUntraced(function*(redis: Redis.Redis["Service"]) {
  for (const [setting, value] of Object.entries(needed)) {
    const found = yield* redis.send("CONFIG", "GET", setting).pipe(Effect.orElseSucceed(() => undefined))
    if (!Array.isArray(found) || found.length < 2) {
      yield* Effect.logWarning(`Redis does not report its ${setting}: runs are safe only if it is ${value}`)
    } else if (found[1] !== value) {
      yield* Effect.logWarning(
        `Redis has ${setting} ${String(found[1])}: committed runs can be lost unless it is ${value}`
      )
    }
  }
})

// operations

/**
 * Turns a missing answer, or an error, into `StoreUnavailable`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const unavailable =
  (operation: string) => <A>(effect: Effect.Effect<A, Redis.RedisError>): Effect.Effect<A, StoreUnavailable> =>
    effect.pipe(
      Effect.timeout(Timings.storeRequestMillis),
      Effect.mapError((cause) => new StoreUnavailable({ operation, cause }))
    )

/**
 * Decodes the answer of an operation; an answer that does not decode is `StoreUnavailable` as well.
 *
 * @category combinators
 * @since 0.1.0
 */
export const answered =
  <A, E>(operation: string, decode: (reply: unknown) => Effect.Effect<A, E>) =>
  (asked: Effect.Effect<unknown, Redis.RedisError>): Effect.Effect<A, StoreUnavailable> =>
    Effect.flatMap(
      unavailable(operation)(asked),
      (reply) => Effect.mapError(decode(reply), (cause) => new StoreUnavailable({ operation, cause }))
    )
