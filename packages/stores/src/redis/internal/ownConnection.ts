import { Effect, type Scope } from "effect"
import type { RedisClient } from "../RedisClient.ts"

type Client = ReturnType<RedisClient["Service"]["duplicate"]>

/** A further connection, not yet open, that is closed with its scope. */
export const ownConnection = (duplicate: () => Client): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => duplicate().on("error", () => {})),
    (client) =>
      Effect.sync(() => {
        // The socket of a client that is still connecting would stay open, and keep the process.
        client.on("connect", () => client.destroy())
        if (client.isOpen) client.destroy()
      })
  )
