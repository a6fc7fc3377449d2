/**
 * The commits of other nodes, by `PUBLISH` and `SUBSCRIBE` of Redis.
 *
 * @since 0.1.0
 */
import { type Notice, RunNotifier } from "@fastagentic/core/store/RunNotifier"
import { Cause, Effect, Layer, Queue, Schedule, Stream } from "effect"
import { ownConnection } from "./internal/ownConnection.ts"
import * as RedisClient from "./RedisClient.ts"

/**
 * Listens while its stream is read, on a connection of its own, and reconnects when that is lost.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<typeof RunNotifier["Service"], never, RedisClient.RedisClient> = Effect.map(
  RedisClient.RedisClient,
  ({ duplicate, prefix }) => ({
    changes: Stream.callback<Notice, unknown>(Effect.fnUntraced(function*(queue) {
      const missed: Notice = { _tag: "Missed" }
      // The client of the other stores logs that Redis cannot be reached.
      const subscriber = yield* ownConnection(duplicate)
      yield* Effect.tryPromise(async () => {
        await subscriber.connect()
        await subscriber.subscribe(`${prefix}changes`, (message) => void Queue.offerUnsafe(queue, parse(message)))
      })
      Queue.offerUnsafe(queue, missed)
      // The client emits `ready` again after it has subscribed again.
      subscriber.on("ready", () => void Queue.offerUnsafe(queue, missed))
      subscriber.on("terminated", (cause) => void Queue.failCauseUnsafe(queue, Cause.fail(cause)))
    })).pipe(
      Stream.tapError((error) => Effect.logWarning("The notices of other nodes cannot be received; retrying", error)),
      Stream.retry(again),
      Stream.orDie
    )
  })
)

/**
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<never, never, RedisClient.RedisClient> = Layer.effect(RunNotifier, make)

const again = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")]).pipe(Schedule.jittered)

const parse = (message: string): Notice => {
  const end = message.lastIndexOf(" ")
  return { _tag: "Changed", runId: message.slice(0, end), seq: Number(message.slice(end + 1)) }
}
