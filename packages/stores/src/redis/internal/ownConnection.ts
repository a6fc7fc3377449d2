// Connections apart from the shared one; the lease and the notifier use them.
import { Effect, type Scope } from "effect"
import type { RedisClient } from "../RedisClient.ts"

type Client = ReturnType<RedisClient["Service"]["duplicate"]>

/** Another connection, not yet open, that closes with its scope. */
export const ownConnection = (duplicate: () => Client): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => duplicate().on("error", () => {})),
    (client) =>
      Effect.sync(() => {
        // The socket of a client that is still connecting would else stay open and keep the process alive.
        client.on("connect", () => client.destroy())
        if (client.isOpen) client.destroy()
      })
  )
