/**
 * The commits of other nodes, by `LISTEN` and `NOTIFY` of PostgreSQL.
 *
 * @since 0.1.0
 */
import { PgClient } from "@effect/sql-pg"
import { type Notice, RunNotifier } from "@fastagentic/core/store/RunNotifier"
import { Effect, Layer, Schedule, Stream } from "effect"

/**
 * The channel on which `PostgresRunStore` sends `"<run id> <seq>"` with each commit.
 *
 * @category models
 * @since 0.1.0
 */
export const channel = "fastagentic_runs"

/**
 * The channel of a client's schema: apps in one database do not see each other's notices.
 *
 * @category combinators
 * @since 0.1.0
 */
export const channelOf = ({ config }: PgClient.PgClient): string => {
  const schema = config.startupParameters?.["search_path"]
  return schema === undefined ? channel : `${channel}_${schema}`
}

/**
 * Listens while its stream is read, on a connection of its own, and reconnects when that is lost.
 *
 * **Gotchas**
 *
 * A pooler that reassigns connections between transactions cannot listen.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<typeof RunNotifier["Service"], never, PgClient.PgClient> = Effect.map(
  PgClient.PgClient,
  (client) => {
    const missed: Notice = { _tag: "Missed" }
    const notices = Effect.map(
      client.listen(channelOf(client)),
      (queue) =>
        Stream.concat(Stream.succeed(missed), Stream.map(Stream.fromQueue(queue), ({ payload }) => parse(payload)))
    )
    return {
      changes: Stream.unwrap(notices).pipe(
        Stream.tapError((error) =>
          Effect.logWarning("The notices of other nodes cannot be received; retrying", error.message)
        ),
        Stream.retry(again),
        Stream.orDie
      )
    }
  }
)

/**
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<never, never, PgClient.PgClient> = Layer.effect(RunNotifier, make)

const again = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")]).pipe(Schedule.jittered)

const parse = (payload: string): Notice => {
  const end = payload.lastIndexOf(" ")
  return { _tag: "Changed", runId: payload.slice(0, end), seq: Number(payload.slice(end + 1)) }
}
