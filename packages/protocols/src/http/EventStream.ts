// A run's journal as server-sent events.
import type { Page } from "@fastagentic/core/operations/Runtime"
import type { RunEvent } from "@fastagentic/core/run/Event"
import { Unauthenticated } from "@fastagentic/core/run/RunError"
import { Cause, Effect, Option, type Pull, Stream } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

const encoder = new TextEncoder()
const retry = "retry: 1000\n\n"

/** `id` is the event's number, from which a client that reconnects continues. */
export const frame = (event: RunEvent): string =>
  `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

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
