// The stream that a client of 2025 opens with GET: it hears of changes to the resources that its session has subscribed to,
// and of changes to the list. TaskNotices makes streams of 2026-07-28 from the same parts.
import * as Timings from "@fastagentic/core/base/Timings"
import type { NoteOwner } from "@fastagentic/core/operations/Runtime"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect, Queue, Stream } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Changes } from "./Changes.ts"
import type { Sessions } from "./Sessions.ts"

const encoder = new TextEncoder()

/** A message as an event. */
export const data = (message: object) => encoder.encode(`event: message\ndata: ${JSON.stringify(message)}\n\n`)
export const frame = (method: string, params?: object) => data({ jsonrpc: "2.0", method, ...(params && { params }) })
const heartbeat = encoder.encode(":\n\n")

/** A reader that is slower than changes loses the oldest: each only says that something is to be read again. */
const capacity = 256

/** The answers of a listener to changes of resources; nothing for one that its client does not want to hear of. */
const listening = (
  changes: Changes,
  framesOf: (event: Sdk.ServerEvent) => Effect.Effect<Uint8Array | undefined> | Uint8Array | undefined
) =>
  Stream.callback<Uint8Array>((queue) =>
    Effect.acquireRelease(
      Effect.sync(() =>
        changes.subscribe((event) => {
          const frames = framesOf(event)
          const offer = (one: Uint8Array | undefined) => one !== undefined && Queue.offerUnsafe(queue, one)
          if (Effect.isEffect(frames)) Effect.runFork(Effect.map(frames, offer))
          else offer(frames)
        })
      ),
      (release) => Effect.sync(release)
    ), { bufferSize: capacity, strategy: "sliding" })

/** Changes of the resources that a request to listen names. */
export const changesOf = (
  changes: Changes,
  { resourceSubscriptions = [], resourcesListChanged = false }: {
    readonly resourceSubscriptions?: ReadonlyArray<string>
    readonly resourcesListChanged?: boolean
  },
  framed: (method: string, params: object) => Uint8Array
) => {
  const uris = new Set(resourceSubscriptions)
  return listening(changes, (event) => {
    if (event.kind === "resources_list_changed") {
      return resourcesListChanged ? framed("notifications/resources/list_changed", {}) : undefined
    }
    return event.kind === "resource_updated" && uris.has(event.uri)
      ? framed("notifications/resources/updated", { uri: event.uri })
      : undefined
  })
}

export const heartbeats = Stream.as(Stream.tick(Timings.heartbeatMillis), heartbeat)

export const answer = (events: Stream.Stream<Uint8Array>) =>
  HttpServerResponse.stream(events, {
    contentType: "text/event-stream",
    headers: { "x-accel-buffering": "no", "cache-control": "no-cache" }
  })

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
  const events = listening(changes, (event) => {
    if (event.kind === "resources_list_changed") return frame("notifications/resources/list_changed")
    if (event.kind !== "resource_updated") return undefined
    return Effect.map(
      sessions.isSubscribed(owner, session, event.uri),
      (wanted) => wanted ? frame("notifications/resources/updated", { uri: event.uri }) : undefined
    )
  })
  // A client whose credentials have ended comes back, and gets 401.
  return answer(counted(Stream.merge(heartbeats, events)))
}
