// Answers with a stream of server-sent events. The id of an event is the number of the run's event that it is up to, so that
// a client that comes back with Last-Event-ID misses nothing. A stream that cannot continue ends with an error.
import type { Caller } from "@fastagentic/core/door/Caller"
import { internalMessage } from "@fastagentic/core/run/RunError"
import { Cause, Effect, Option, Stream } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as A2aError from "./A2aError.ts"
import type { Failure, Updates } from "./A2aReply.ts"
import type { StreamResponse } from "./A2aSchema.ts"

/** How a binding writes an update, and the error that ends a stream, as lines of an event. */
export interface Frames {
  readonly update: (update: StreamResponse) => string
  readonly error: (error: A2aError.A2aError) => string
}

export const respond = (
  updates: Stream.Stream<Updates, Failure>,
  frames: Frames,
  caller: Caller
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.stream(
    updates.pipe(
      Stream.map((page) => write(page, frames)),
      Stream.catchCause((cause) =>
        Stream.fromEffect(Effect.map(errorOf(cause, caller), (error) => `${frames.error(error)}\n\n`))
      ),
      Stream.map((text) => encoder.encode(text))
    ),
    { contentType: "text/event-stream", headers: { "x-accel-buffering": "no" } }
  )

/** Only the last update of a page has an id: a client that has seen less gets the page again. */
const write = ({ seq, updates }: Updates, frames: Frames) => {
  if (updates.length === 0) return ":\n\n"
  let text = ""
  for (const [index, update] of updates.entries()) {
    text += `${index === updates.length - 1 ? `id: ${seq}\n` : ""}${frames.update(update)}\n\n`
  }
  return text
}

const encoder = new TextEncoder()

/** The last event that the client of a stream has seen; nothing when its header is not one of ours. */
export const lastEventIdOf = (headers: { readonly [name: string]: string | undefined }): number | undefined => {
  const id = headers["last-event-id"]
  return id !== undefined && /^\d{1,15}$/u.test(id) ? Number(id) : undefined
}

/** The error that a caller gets for a cause. */
export const errorOf = (cause: Cause.Cause<Failure>, caller: Caller): Effect.Effect<A2aError.A2aError> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error !== undefined) return Effect.succeed(error._tag === "RunError" ? A2aError.fromRunError(error) : error)
  return Effect.logError("An A2A request failed unexpectedly", cause).pipe(
    Effect.annotateLogs({ traceId: caller.traceId }),
    Effect.as(A2aError.internal(internalMessage))
  )
}
