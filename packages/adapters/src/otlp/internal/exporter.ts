// Posts spans and log lines in batches from a bounded queue; it never blocks a caller.
import { Effect, Fiber, Latch, Metric } from "effect"
import type { HttpBody } from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import type { Settings, Signal } from "./environment.ts"
import { post, type Refused } from "./post.ts"

/** Accepts items without blocking the caller: an item that finds no room is lost and counted. */
export interface Exporter<A> {
  readonly push: (item: A) => void
}

const lostItems = Metric.counter("fastagentic_telemetry_lost_total", {
  description: "Spans, log lines and exports of metrics that no collector has taken",
  incremental: true
})

const sentItems = Metric.counter("fastagentic_telemetry_exported_total", {
  description: "Spans, log lines and exports of metrics that a collector has taken",
  incremental: true
})

/** Counts for one signal of one destination. */
export const countersOf = ({ destination, signal }: { readonly destination: string; readonly signal: Signal }) => {
  const attributes = { signal: signal.toLowerCase(), destination }
  return {
    sent: Metric.withAttributes(sentItems, attributes),
    lost: Metric.withAttributes(lostItems, attributes)
  }
}

/** The retries of a batch, while new items wait. */
const tries = 4

/** How long a stopping server waits for its collector. */
const farewell = "3 seconds"

/** The texts of items that wait, and those of one batch, take at most this many characters. */
const mostWaiting = 64 * 1_048_576
const mostInBatch = 4 * 1_048_576

/** Posts pushed items in batches from a bounded queue; flushes when the scope closes. */
export const make = Effect.fnUntraced(function*<A>(
  settings: Settings,
  encode: (items: ReadonlyArray<A>) => HttpBody,
  sizeOf: (item: A) => number = () => 0
) {
  const client = yield* HttpClient.HttpClient
  const services = yield* Effect.context<never>()
  const { lost, sent } = countersOf(settings)
  const work = Latch.makeUnsafe(false)
  let queue: Array<A> = []
  let batch: ReadonlyArray<A> = []
  let posting: Fiber.Fiber<void, Refused> | undefined
  let warnedAt = -Infinity
  let waiting = 0
  /** Items that found no room since the last warning. */
  let dropped = 0
  /** A destination that finds a batch too large gets smaller ones for a while. */
  let most = settings.batchSize
  lost.updateUnsafe(0, services)

  const lose = (count: number, reason: string) => {
    if (count === 0) return Effect.void
    lost.updateUnsafe(count, services)
    return warn(reason)
  }

  const warn = (reason: string) => {
    const now = performance.now()
    // A collector that stays unavailable is logged once a minute.
    if (now - warnedAt < 60_000) return Effect.void
    warnedAt = now
    const { destination, signal } = settings
    return Effect.annotateLogs(Effect.logWarning("Telemetry is lost"), { destination, signal, reason })
  }

  const warnOfDropped = Effect.suspend(() => {
    if (dropped === 0) return Effect.void
    const reason = `the queue is full: ${dropped} found no room`
    dropped = 0
    return warn(reason)
  })

  // An accepted batch is never sent again: a stop waits for its answer.
  const offer = Effect.suspend(() =>
    Effect.forkDetach(Effect.flatMap(post(client, settings, encode(batch)), ({ reason, rejected }) => {
      const count = Math.min(rejected, batch.length)
      sent.updateUnsafe(batch.length - count, services)
      batch = []
      most = Math.min(settings.batchSize, most * 2)
      return lose(count, `${settings.destination} rejects items: ${reason}`)
    }))
  ).pipe(Effect.flatMap((fiber) => {
    posting = fiber
    return Fiber.join(fiber)
  }))

  const offerAgain = (attempt: number): Effect.Effect<void, Refused> =>
    Effect.catch(offer, (error) =>
      error.next === "again" && attempt < tries
        ? Effect.andThen(Effect.sleep(error.afterMillis ?? 1_000 * 2 ** (attempt - 1)), offerAgain(attempt + 1))
        : Effect.fail(error))

  /** Makes a batch once enough items wait, and returns its size. */
  const take = (least: number) => {
    if (batch.length === 0 && queue.length >= least) {
      let count = 0
      for (let size = 0; count < Math.min(most, queue.length) && (count === 0 || size <= mostInBatch); count++) {
        size += sizeAt(count)
      }
      batch = queue.slice(0, count)
      queue = queue.slice(count)
      for (const item of batch) waiting -= sizeOf(item)
    }
    if (batch.length === 0) work.closeUnsafe()
    return batch.length
  }

  const sizeAt = (index: number) => {
    const item = queue[index]
    return item === undefined ? 0 : sizeOf(item)
  }

  /** Halves a batch that is too large; the other half waits in front of all others. */
  const split = () => {
    most = Math.ceil(batch.length / 2)
    const rest = batch.slice(most)
    queue = [...rest, ...queue]
    batch = batch.slice(0, most)
    for (const item of rest) waiting += sizeOf(item)
  }

  /** Sends one batch after the other, while full batches wait. */
  const drain = (way: Effect.Effect<void, Refused>, least: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const count = take(least)
      if (count === 0) return Effect.void
      return way.pipe(
        Effect.as(least),
        Effect.catch(({ next, reason }) => {
          if (next === "split" && count > 1) return Effect.as(Effect.sync(split), 1)
          batch = []
          return Effect.as(lose(count, reason), least)
        }),
        Effect.flatMap((least) => drain(way, least))
      )
    })

  const worker = yield* Effect.forkDetach(Effect.withTracerEnabled(
    Effect.forever(
      Effect.timeoutOption(work.await, settings.delayMillis).pipe(
        // Items that arrive during a post wait for the next one: they are few, and a post costs as much as many spans.
        Effect.andThen(Effect.sync(() => take(1))),
        Effect.andThen(warnOfDropped),
        Effect.andThen(drain(offerAgain(1), settings.batchSize))
      )
    ),
    false
  ))

  yield* Effect.addFinalizer(() =>
    Fiber.interrupt(worker).pipe(
      Effect.andThen(Effect.suspend(() => posting === undefined ? Effect.void : Fiber.await(posting))),
      Effect.andThen(drain(offer, 1)),
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
      const size = sizeOf(item)
      if (queue.length >= settings.queueSize || waiting + size > mostWaiting) {
        dropped++
        return lost.updateUnsafe(1, services)
      }
      waiting += size
      queue.push(item)
      if (queue.length >= settings.batchSize) work.openUnsafe()
    }
  } satisfies Exporter<A>
})
