// Posts spans and log lines in batches from a bounded queue; it never blocks a caller.
import { Effect, Fiber, Latch, Metric, Schema } from "effect"
import type { HttpBody } from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { Settings, Signal } from "./environment.ts"

/** Accepts items without blocking the caller: an item that finds no room is lost and counted. */
export interface Exporter<A> {
  readonly push: (item: A) => void
}

/** The collector's answer to a batch. */
class Refused extends Schema.TaggedError<Refused>()("Refused", { reason: Schema.String, again: Schema.Boolean }) {
  override get message() {
    return this.reason
  }
}

const lostItems = Metric.counter("fastagentic_telemetry_lost_total", {
  description: "Spans, log lines and exports of metrics that no collector has taken",
  incremental: true
})

const sentItems = Metric.counter("fastagentic_telemetry_exported_total", {
  description: "Spans, log lines and exports of metrics that a collector has taken",
  incremental: true
})

/** Counts for one signal. */
export const countersOf = (signal: Signal) => {
  const attributes = { signal: signal.toLowerCase() }
  return {
    sent: Metric.withAttributes(sentItems, attributes),
    lost: Metric.withAttributes(lostItems, attributes)
  }
}

/** The retries of a batch, while new items wait. */
const tries = 4

/** How long a stopping server waits for its collector. */
const farewell = "3 seconds"

/** Posts pushed items in batches from a bounded queue; flushes when the scope closes. */
export const make = Effect.fnUntraced(function*<A>(
  settings: Settings,
  encode: (items: ReadonlyArray<A>) => HttpBody
) {
  const client = yield* HttpClient.HttpClient
  const services = yield* Effect.context<never>()
  const { lost, sent } = countersOf(settings.signal)
  const work = Latch.makeUnsafe(false)
  let queue: Array<A> = []
  let batch: ReadonlyArray<A> = []
  let posting: Fiber.Fiber<void, Refused> | undefined
  let warnedAt = -Infinity
  lost.updateUnsafe(0, services)

  const lose = (count: number, reason: string) => {
    lost.updateUnsafe(count, services)
    const now = performance.now()
    // A collector that stays unavailable is logged once a minute.
    if (now - warnedAt < 60_000) return Effect.void
    warnedAt = now
    return Effect.annotateLogs(Effect.logWarning("Telemetry is lost"), { signal: settings.signal, reason })
  }

  // An accepted batch is never sent again: a stop waits for its answer.
  const post = Effect.suspend(() =>
    Effect.forkDetach(Effect.map(offer(client, settings, encode(batch)), () => {
      sent.updateUnsafe(batch.length, services)
      batch = []
    }))
  ).pipe(Effect.flatMap((fiber) => {
    posting = fiber
    return Fiber.join(fiber)
  }))

  const offerAgain = (attempt: number): Effect.Effect<void, Refused> =>
    Effect.catch(post, (error) =>
      error.again && attempt < tries
        ? Effect.andThen(Effect.sleep(1_000 * 2 ** (attempt - 1)), offerAgain(attempt + 1))
        : Effect.fail(error))

  /** Makes a batch once enough items wait, and returns its size. */
  const take = (least: number) => {
    if (batch.length === 0 && queue.length >= least) {
      batch = queue.slice(0, settings.batchSize)
      queue = queue.slice(settings.batchSize)
    }
    if (batch.length === 0) work.closeUnsafe()
    return batch.length
  }

  /** Sends one batch after the other, while full batches wait. */
  const drain = (way: Effect.Effect<void, Refused>, least: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const count = take(least)
      if (count === 0) return Effect.void
      return way.pipe(
        Effect.catch(({ reason }) => {
          batch = []
          return lose(count, reason)
        }),
        Effect.andThen(Effect.suspend(() => drain(way, least)))
      )
    })

  const worker = yield* Effect.forkDetach(Effect.withTracerEnabled(
    Effect.forever(
      Effect.timeoutOption(work.await, settings.delayMillis).pipe(
        // Items that arrive during a post wait for the next one: they are few, and a post costs as much as many spans.
        Effect.andThen(Effect.sync(() => take(1))),
        Effect.andThen(drain(offerAgain(1), settings.batchSize))
      )
    ),
    false
  ))

  yield* Effect.addFinalizer(() =>
    Fiber.interrupt(worker).pipe(
      Effect.andThen(Effect.suspend(() => posting === undefined ? Effect.void : Fiber.await(posting))),
      Effect.andThen(drain(post, 1)),
      Effect.forkDetach,
      Effect.flatMap((flushed) => Effect.timeoutOption(Effect.interruptible(Fiber.await(flushed)), farewell)),
      Effect.andThen(Effect.suspend(() => {
        const left = batch.length + queue.length
        return left === 0 ? Effect.void : lose(left, "the server stops and the collector does not answer")
      })),
      Effect.withTracerEnabled(false)
    )
  )

  return {
    push: (item) => {
      if (queue.length >= settings.queueSize) return lost.updateUnsafe(1, services)
      queue.push(item)
      if (queue.length >= settings.batchSize) work.openUnsafe()
    }
  } satisfies Exporter<A>
})

const offer = (client: HttpClient.HttpClient, settings: Settings, body: HttpBody): Effect.Effect<void, Refused> => {
  const request = HttpClientRequest.setBody(HttpClientRequest.post(settings.url, { headers: settings.headers }), body)
  const ready = settings.gzip ? HttpClientRequest.compressBody(request, "gzip") : Effect.succeed(request)
  return Effect.scoped(Effect.flatMap(ready, (compressed) => client.execute(compressed))).pipe(
    Effect.flatMap((response) => Effect.as(Effect.ignore(response.arrayBuffer), response.status)),
    Effect.timeout(settings.timeoutMillis),
    Effect.catchCause(() => Effect.fail(new Refused({ reason: "the collector cannot be reached", again: true }))),
    Effect.flatMap((status) =>
      status < 300 ? Effect.void : Effect.fail(
        new Refused({ reason: `the collector answers ${status}`, again: status === 429 || status >= 502 })
      )
    )
  )
}
