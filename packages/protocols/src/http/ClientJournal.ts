// A run's journal over server-sent events as one stream, reopened whenever the connection breaks.
import * as Timings from "@fastagentic/core/base/Timings"
import * as Event from "@fastagentic/core/run/Event"
import { Duration, Effect, Schema, Stream } from "effect"
import * as Sse from "effect/encoding/Sse"
import type { ClientError } from "./ClientError.ts"
import * as Transport from "./ClientTransport.ts"
import * as Schemas from "./Schemas.ts"

const longestHint = Duration.seconds(10)

export interface Options {
  readonly transport: Transport.Transport
  /** The run, or the request that starts it. */
  readonly source: { readonly runId: string } | { readonly open: Transport.Request }
  readonly after: number
  /** `"final"`: until the run has ended; `"settled"`: also until it is suspended. */
  readonly until: "final" | "settled"
}

/** The reader's position; `runId` is known with the first answer. */
interface Cursor {
  runId: string | undefined
  seq: number
}

/** The events after a number. A broken connection is reopened after the last event; `retries` bounds attempts without one. */
export const events = (options: Options): Stream.Stream<Event.RunEvent, ClientError> =>
  Stream.suspend(() => {
    const cursor: Cursor = { runId: "runId" in options.source ? options.source.runId : undefined, seq: options.after }
    return Stream.retry(Stream.suspend(() => connection(options, cursor)), options.transport.again)
  })

const connection = (options: Options, cursor: Cursor) =>
  Stream.unwrap(Effect.gen(function*() {
    const answered = yield* options.transport.send(requestOf(options, cursor))
    if (!Transport.isOk(answered)) return Stream.fromEffect(Transport.refusal(answered))
    cursor.runId ??= answered.response.headers["x-run-id"]
    // 204: the run has ended, and the reader has its last event.
    if (answered.response.status === 204) return Stream.empty
    return frames(answered).pipe(
      Stream.filter((event) => event.seq > cursor.seq),
      Stream.mapEffect((event) => accept(options, cursor, answered, event)),
      Stream.concat(Stream.fail(Transport.disconnected(answered.name, "the stream ended before the run"))),
      Stream.takeUntil(({ last }) => last),
      Stream.map(({ event }) => event)
    )
  }))

const requestOf = ({ source }: Options, { runId, seq }: Cursor): Transport.Request =>
  "open" in source && runId === undefined ? source.open : {
    method: "GET",
    path: `/runs/${encodeURIComponent(runId ?? "")}/events`,
    headers: { accept: "text/event-stream", "last-event-id": String(seq) }
  }

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Event.RunEvent))

const frames = (answered: Transport.Answered): Stream.Stream<Event.RunEvent, ClientError> => {
  const broken = (detail: string) => Transport.disconnected(answered.name, detail)
  return answered.response.stream.pipe(
    Stream.mapError((error) => Transport.disconnected(answered.name, error)),
    Stream.timeoutOrElse({ duration: Timings.silenceMillis, orElse: () => Stream.fail(broken("no heartbeat came")) }),
    Stream.decodeText,
    Stream.pipeThroughChannel(Sse.decode()),
    Stream.catchIf(
      Sse.Retry.is,
      ({ duration }) =>
        Stream.fromEffect(
          Effect.delay(Effect.fail(broken("the server shuts down")), Duration.min(duration, longestHint))
        )
    ),
    Stream.catchTag("SseError", (error) => Stream.fail(broken(error.message))),
    Stream.mapEffect(({ data }) =>
      Effect.catch(decode(data), (error) => Effect.fail(Transport.unexpected(answered, error.message)))
    )
  )
}

/** Accepts the next event, and finds out whether it is the last one to wait for. */
const accept = Effect.fnUntraced(function*(
  options: Options,
  cursor: Cursor,
  answered: Transport.Answered,
  event: Event.RunEvent
) {
  if (event.seq !== cursor.seq + 1) {
    return yield* Effect.fail(Transport.disconnected(answered.name, `event ${event.seq} came after ${cursor.seq}`))
  }
  const isPause = options.until === "settled" && event.type === "run_suspended" && event.data.reason !== "drain"
  const last = Event.isTerminal(event) || (isPause && (yield* isStillSuspended(options, event)))
  cursor.seq = event.seq
  return { event, last }
})

/** Whether the run is still suspended by this event: a journal also holds pauses that have ended. */
const isStillSuspended = Effect.fnUntraced(function*({ transport }: Options, event: Event.RunEvent) {
  const run = yield* Transport.readOk(
    yield* transport.send({ method: "GET", path: `/runs/${event.runId}` }),
    Schemas.Run
  )
  return run.state === "suspended" && run.seq === event.seq
})
