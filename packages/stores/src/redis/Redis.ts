/**
 * All stores that the nodes of a cluster share, in one Redis.
 *
 * @since 0.1.0
 */
import { type Config, Layer } from "effect"
import type { RedisError } from "effect/persistence/Redis"
import { freshLayer } from "../internal/freshLayer.ts"
import type { ServerStores } from "../internal/stores.ts"
import * as RedisApiKeys from "./RedisApiKeys.ts"
import * as RedisAudit from "./RedisAudit.ts"
import * as RedisBlobStore from "./RedisBlobStore.ts"
import * as RedisBudgetStore from "./RedisBudgetStore.ts"
import * as RedisClient from "./RedisClient.ts"
import * as RedisPushStore from "./RedisPushStore.ts"
import * as RedisRateCounters from "./RedisRateCounters.ts"
import * as RedisRunNotifier from "./RedisRunNotifier.ts"
import * as RedisRunStore from "./RedisRunStore.ts"
import * as RedisScheduleStore from "./RedisScheduleStore.ts"
import * as RedisSharedNotes from "./RedisSharedNotes.ts"

/**
 * The URL of Redis, and how to use it.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends RedisClient.Options, RedisRunStore.Options {}

/**
 * Every store on a given `RedisClient`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient = (
  options: RedisRunStore.Options = {}
): Layer.Layer<
  ServerStores,
  Config.ConfigError | RedisError,
  RedisClient.RedisClient
> =>
  Layer.mergeAll(
    RedisRunStore.layerNoClient(options),
    RedisAudit.layerNoClient,
    RedisBudgetStore.layerNoClient,
    RedisApiKeys.layerNoClient,
    RedisBlobStore.layerNoClient,
    RedisRateCounters.layerNoClient,
    RedisPushStore.layerNoClient,
    RedisScheduleStore.layerNoClient,
    RedisSharedNotes.layerNoClient,
    RedisRunNotifier.layerNoClient
  )

/**
 * Connects to a Redis of version 6.2 or newer, and provides `RunNotifier` with the commits of other nodes.
 *
 * **Details**
 *
 * Commits survive a crash only when Redis has `appendonly yes` and `appendfsync always`, and are never evicted only
 * when it has `maxmemory-policy noeviction`. The log reports at the start which of these is missing.
 *
 * **Gotchas**
 *
 * One Redis, not a Redis Cluster, because a batch of writes concerns many keys. A replica takes over without the
 * commits that had not reached it. All journals must fit into memory: only counters of rate limits expire.
 *
 * **Example** (Keeping runs in Redis)
 *
 * ```ts
 * import { Redis } from "@fastagentic/stores/redis"
 * import { Redacted } from "effect"
 *
 * const Stores = Redis.layer({ url: Redacted.make("redis://cache.internal:6379") })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<
  ServerStores,
  Config.ConfigError | RedisError
> => freshLayer(Layer.provide(layerNoClient(options), RedisClient.layer(options)))
