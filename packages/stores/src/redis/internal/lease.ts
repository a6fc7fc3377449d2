// The lease of a node in Redis; other nodes may claim its runs once it has ended.
import { Duration, Effect, type Scope } from "effect"
import { RedisError } from "effect/persistence/Redis"
import { keepLease } from "../../lease/keepLease.ts"
import type { RedisClient } from "../RedisClient.ts"
import { ownConnection } from "./ownConnection.ts"

/** Gives this node a name and renews its lease until the scope closes, by the clock of Redis. */
export const holdLease = Effect.fnUntraced(function*(
  { duplicate, prefix, redis }: RedisClient["Service"],
  lease: Duration.Duration
): Effect.fn.Return<{ readonly node: string; readonly canTakeOver: () => boolean }, RedisError, Scope.Scope> {
  const node = globalThis.crypto.randomUUID()
  const key = `${prefix}node:${JSON.stringify(node)}`
  const renew = ["SET", key, "", "PX", `${Math.ceil(Duration.toMillis(lease))}`] as const
  const canTakeOver = yield* keepLease({
    lease,
    renew: redis.send(...renew),
    forget: redis.send("DEL", key),
    connect: Effect.gen(function*() {
      const client = yield* ownConnection(duplicate)
      yield* attempt(() => client.connect())
      return attempt(() => client.sendCommand([...renew]))
    })
  })
  return { node, canTakeOver }
})

const attempt = (use: () => Promise<unknown>) =>
  Effect.tryPromise({ try: use, catch: (cause) => new RedisError({ cause }) })
