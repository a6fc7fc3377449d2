// A run's journal as server-sent events.
import type { Page } from "@fastagentic/core/operations/Runtime"
import type { RunEvent } from "@fastagentic/core/run/Event"
import { Unauthenticated } from "@fastagentic/core/run/RunError"
import { Cause, Effect, Option, type Pull, Stream } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

const encoder = new TextEncoder()
const retry = "retry: 1000\n\n"

/** `id` is the event's number, from which a client that reconnects continues. */
export const frame = (event: RunEvent): string => `id: ${event.seq}\nevent: ${event.type}\ndata: ${jsonOf(event)}\n\n`

const fields = ["runId", "seq", "ts", "attempt", "type", "data", "place"]

/** Whether an event has the fields of a stored one in their order, and no others. */
const isPlain = (event: RunEvent): boolean => {
  let index = 0
  for (const name in event) if (name !== fields[index++]) return false
  return index >= fields.length - 1
}

/** `JSON.stringify` of an event. It is slow for each field of a value, so that of most events only their data goes there. */
const jsonOf = (event: RunEvent): string => {
  if (!isPlain(event)) return JSON.stringify(event)
  const { attempt, data, place, runId, seq, ts, type } = event
  const last = place === undefined ? "" : `,"place":${JSON.stringify(place)}`
  return `{"runId":${JSON.stringify(runId)},"seq":${seq},"ts":${ts},"attempt":${attempt},"type":"${type}","data":${
    JSON.stringify(data)
  }${last}}`
}

/** The approximate size of a chunk: a slow reader makes the server hold no more text than this. */
const chunkSize = 65_536

const chunks = function*({ closing, events }: Page): Generator<Uint8Array> {
  if (closing) return yield encoder.encode(retry)
  if (events.length === 0) return yield encoder.encode(":\n\n")
  let text = ""
  for (const event of events) {
    text += frame(event)
    if (text.length < chunkSize) continue
    yield encoder.encode(text)
    text = ""
  }
  if (text !== "") yield encoder.encode(text)
}

/** Encodes the next chunk only when the reader pulls it. */
const encoded = <E>(pages: Stream.Stream<Page, E>): Stream.Stream<Uint8Array, E> =>
  Stream.transformPull(pages, (pull) =>
    Effect.sync(() => {
      let waiting: Array<Generator<Uint8Array>> = []
      const next: Pull.Pull<readonly [Uint8Array], E> = Effect.suspend(() => {
        const chunk = waiting[0]?.next()
        if (chunk?.done === false) return Effect.succeed<readonly [Uint8Array]>([chunk.value])
        if (chunk?.done === true) {
          waiting.shift()
          return next
        }
        return Effect.flatMap(pull, (pulled) => {
          waiting = pulled.map(chunks)
          return next
        })
      })
      return next
    }))

const hasEnded = (cause: Cause.Cause<unknown>) =>
  Option.exists(Cause.findErrorOption(cause), (error) => error instanceof Unauthenticated)

/** Streams pages: a comment as heartbeat, `retry` when the server shuts down or cannot continue. */
export const response = <E>(pages: Stream.Stream<Page, E>, headers: Record<string, string>) =>
  HttpServerResponse.stream(
    encoded(pages).pipe(
      Stream.catchCause((cause) =>
        // A client whose credentials have ended comes back, and gets 401.
        Stream.fromEffect(Effect.as(
          hasEnded(cause) ? Effect.void : Effect.logWarning("An event stream was cut", cause),
          encoder.encode(retry)
        ))
      )
    ),
    {
      contentType: "text/event-stream",
      headers: { "x-accel-buffering": "no", ...headers }
    }
  )
