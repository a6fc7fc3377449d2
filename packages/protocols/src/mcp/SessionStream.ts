// The stream that a client of 2025 opens with GET: it hears of changes to the resources that its session has subscribed to,
// and of changes to the list.
import * as Timings from "@fastagentic/core/base/Timings"
import type { NoteOwner } from "@fastagentic/core/operations/Runtime"
import { Effect, Queue, Stream } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Changes } from "./Changes.ts"
import type { Sessions } from "./Sessions.ts"

const encoder = new TextEncoder()
const frame = (method: string, params?: object) =>
  encoder.encode(`event: message\ndata: ${JSON.stringify({ jsonrpc: "2.0", method, ...(params && { params }) })}\n\n`)
const heartbeat = encoder.encode(":\n\n")

/** A reader that is slower than changes loses the oldest: each only says that something is to be read again. */
const capacity = 256

export const response = (
  owner: NoteOwner,
  session: string,
  { changes, counted, sessions }: {
    readonly changes: Changes
    readonly sessions: Sessions
    /** Counts the stream among those of its caller, and ends it with the caller's credentials. */
    readonly counted: (stream: Stream.Stream<Uint8Array>) => Stream.Stream<Uint8Array>
  }
) => {
  const events = Stream.callback<Uint8Array>((queue) =>
    Effect.acquireRelease(
      Effect.sync(() =>
        changes.subscribe((event) => {
          if (event.kind === "resources_list_changed") {
            Queue.offerUnsafe(queue, frame("notifications/resources/list_changed"))
          }
          if (event.kind === "resource_updated") {
            Effect.runFork(
              Effect.map(
                sessions.isSubscribed(owner, session, event.uri),
                (wanted) =>
                  wanted && Queue.offerUnsafe(queue, frame("notifications/resources/updated", { uri: event.uri }))
              )
            )
          }
        })
      ),
      (release) => Effect.sync(release)
    ), { bufferSize: capacity, strategy: "sliding" })
  const heartbeats = Stream.as(Stream.tick(Timings.heartbeatMillis), heartbeat)
  // A client whose credentials have ended comes back, and gets 401.
  return HttpServerResponse.stream(counted(Stream.merge(heartbeats, events)), {
    contentType: "text/event-stream",
    headers: { "x-accel-buffering": "no", "cache-control": "no-cache" }
  })
}
