// An answer as the AI SDK's UI message stream over server-sent events.
import type { FollowError } from "@fastagentic/core/operations/Runtime"
import type { RunError } from "@fastagentic/core/run/RunError"
import { Effect, Stream } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Answering } from "../chat/ChatRuns.ts"
import type { ChatPart } from "../chat/ChatView.ts"
import type { RequestContext } from "../http/RequestContext.ts"
import { links } from "../internal/fileLinks.ts"
import { type UiChunk, UiWriter } from "./UiChunk.ts"

const encoder = new TextEncoder()

const frames = (chunks: ReadonlyArray<UiChunk>): string =>
  chunks.length === 0 ? ":\n\n" : chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("")

/** Streams an answer; a stream that cannot continue is cut, so that the client knows that it has to come back. */
export const response = Effect.fnUntraced(function*(
  { caller, runtime }: RequestContext,
  { before, handle, pages }: Answering
): Effect.fn.Return<HttpServerResponse.HttpServerResponse, RunError> {
  const { run } = handle
  const writer = new UiWriter({ run, links: yield* links, traceId: caller.traceId })

  const decidable = Effect.fnUntraced(function*(parts: ReadonlyArray<ChatPart>) {
    if (!parts.some(({ _tag }) => _tag === "Question")) return none
    const open = yield* runtime.decidable(caller, run.runId)
    return new Set(open.flatMap(({ id, state }) => state === "open" ? [id] : []))
  })

  const written = (parts: ReadonlyArray<ChatPart>) =>
    Effect.map(decidable(parts), (ids) => frames(writer.write(parts, ids)))

  const first = Effect.map(written(before), (text) => frames(writer.start()) + (before.length === 0 ? "" : text))
  const texts = Stream.concat(
    Stream.fromEffect(first),
    Stream.mapEffect(pages, (page) => page === "closing" ? Effect.interrupt : written(page))
  )
  const ended = Stream.suspend(() => Stream.succeed(frames(writer.end()).replace(/^:\n\n$/u, "") + "data: [DONE]\n\n"))
  return HttpServerResponse.stream(
    Stream.concat(Stream.catch(texts, cut), ended).pipe(Stream.map((text) => encoder.encode(text))),
    {
      contentType: "text/event-stream",
      headers: { "x-accel-buffering": "no", "x-vercel-ai-ui-message-stream": "v1", "x-run-id": run.runId }
    }
  )
})

const none: ReadonlySet<string> = new Set()

const cut = (error: FollowError | RunError): Stream.Stream<string> => {
  const reason = error._tag === "RunError" ? error.reason : error
  if (reason._tag !== "Unauthenticated") return Stream.fromEffect(Effect.interrupt)
  return Stream.succeed(frames([{ type: "error", errorText: reason.message }]))
}
