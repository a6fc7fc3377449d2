// An answer as server-sent events in the words of a front end.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { FollowError, Runtime } from "@fastagentic/core/operations/Runtime"
import type { Failure } from "@fastagentic/core/run/Event"
import type { RunError, Unauthenticated } from "@fastagentic/core/run/RunError"
import { Effect, Stream } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { RequestContext } from "../http/RequestContext.ts"
import type { ChatPart } from "./ChatPart.ts"
import type { Answering } from "./ChatRuns.ts"

/** Writes the parts of one answer as frames. */
export interface Writer {
  readonly start: () => string
  /** `decidable` holds the ids of the interrupts that the caller may decide. */
  readonly write: (parts: ReadonlyArray<ChatPart>, decidable: ReadonlySet<string>) => string
  /** The end of the stream, also of a run that only waits for somebody. */
  readonly end: () => string
  /** The last frames of a stream whose caller may not read on. */
  readonly refuse: (reason: Unauthenticated) => string
}

/** The failure as which a stream shows the end of its caller's credentials. */
export const refusalOf = ({ _tag, message }: Unauthenticated): Failure => ({
  tag: _tag,
  message,
  status: 401,
  declared: false
})

const encoder = new TextEncoder()
const heartbeat = ":\n\n"
const nothing: ReadonlySet<string> = new Set()

/** A frame of one JSON value. */
export const frame = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`

/** The ids of the open interrupts that the caller may decide, looked up when parts ask for a decision. */
export const decidableIn = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  caller: Caller,
  runId: string,
  parts: ReadonlyArray<ChatPart>
): Effect.fn.Return<ReadonlySet<string>, RunError> {
  if (!parts.some(({ _tag }) => _tag === "Question")) return nothing
  const open = yield* runtime.decidable(caller, runId)
  return new Set(open.flatMap(({ id, state }) => state === "open" ? [id] : []))
})

/**
 * Streams an answer. A stream that cannot continue, because the server stops or the store is away, is cut: its client then
 * knows that it has to come back.
 */
export const response = (
  { caller, runtime }: RequestContext,
  { before, handle, pages }: Answering,
  writer: Writer,
  headers: Record<string, string> = {}
): HttpServerResponse.HttpServerResponse => {
  const { runId } = handle.run

  const written = (parts: ReadonlyArray<ChatPart>) =>
    parts.length === 0
      ? Effect.succeed(heartbeat)
      : Effect.map(decidableIn(runtime, caller, runId, parts), (ids) => writer.write(parts, ids) || heartbeat)

  const texts = Stream.concat(
    Stream.fromEffect(Effect.map(written(before), (text) => writer.start() + text)),
    Stream.mapEffect(pages, (page) => page === "closing" ? Effect.interrupt : written(page))
  )
  const cut = (error: FollowError | RunError): Stream.Stream<string> => {
    const reason = error._tag === "RunError" ? error.reason : error
    return reason._tag === "Unauthenticated"
      ? Stream.succeed(writer.refuse(reason))
      : Stream.fromEffect(Effect.interrupt)
  }
  return HttpServerResponse.stream(
    Stream.concat(Stream.catch(texts, cut), Stream.suspend(() => Stream.succeed(writer.end()))).pipe(
      Stream.map((text) => encoder.encode(text))
    ),
    {
      contentType: "text/event-stream",
      headers: { "x-accel-buffering": "no", "x-run-id": runId, ...headers }
    }
  )
}
