import { Duration, Effect, Schedule, type Scope } from "effect"
import type { Redis, RedisError } from "effect/persistence/Redis"

/**
 * Gives this node a name and says, until the scope closes, that it is alive. The clock is that of Redis alone.
 */
export const holdLease = Effect.fnUntraced(function*(
  redis: Redis["Service"],
  prefix: string,
  lease: Duration.Duration
): Effect.fn.Return<string, RedisError, Scope.Scope> {
  const node = globalThis.crypto.randomUUID()
  const key = `${prefix}node:${JSON.stringify(node)}`
  const renew = redis.send("SET", key, "", "PX", `${Math.ceil(Duration.toMillis(lease))}`)
  yield* Effect.acquireRelease(renew, () => Effect.ignore(redis.send("DEL", key)))
  yield* renew.pipe(
    Effect.catch((error) => Effect.logWarning("This node cannot say that it is alive", error)),
    Effect.schedule(Schedule.spaced(Duration.divideUnsafe(lease, 3))),
    Effect.forkScoped
  )
  return node
})
