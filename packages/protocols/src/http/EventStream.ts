/**
 * A run's journal as server-sent events.
 *
 * @since 0.1.0
 */
import type { RunEvent } from "@fastagentic/core/Event"
import type { Page } from "@fastagentic/core/Runtime"
import { Effect, Stream } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

const encoder = new TextEncoder()
const retry = "retry: 1000\n\n"

/** `id` is the event's number, so that a client that reconnects goes on where it was. @category conversions @since 0.1.0 */
export const frame = (event: RunEvent): string =>
  `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

const chunk = ({ closing, events }: Page): string => {
  if (closing) return retry
  if (events.length === 0) return ":\n\n"
  let text = ""
  for (const event of events) text += frame(event)
  return text
}

/**
 * Streams pages: comments as heartbeats, `retry` when the server goes away or cannot go on.
 *
 * @category conversions
 * @since 0.1.0
 */
export const response = <E>(pages: Stream.Stream<Page, E>, headers: Record<string, string>) =>
  HttpServerResponse.stream(
    pages.pipe(
      Stream.map((page) => encoder.encode(chunk(page))),
      Stream.catchCause((cause) =>
        Stream.fromEffect(Effect.as(Effect.logWarning("An event stream was cut", cause), encoder.encode(retry)))
      )
    ),
    {
      contentType: "text/event-stream",
      headers: { "cache-control": "no-cache, no-transform", "x-accel-buffering": "no", ...headers }
    }
  )
