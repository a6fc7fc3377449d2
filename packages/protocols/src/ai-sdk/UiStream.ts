// An answer as the AI SDK's UI message stream over server-sent events.
import type { RunError } from "@fastagentic/core/run/RunError"
import { Effect } from "effect"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Answering } from "../chat/ChatRuns.ts"
import * as ChatStream from "../chat/ChatStream.ts"
import type { RequestContext } from "../http/RequestContext.ts"
import { links } from "../internal/fileLinks.ts"
import { type UiChunk, UiWriter } from "./UiChunk.ts"

const frames = (chunks: ReadonlyArray<UiChunk>): string => chunks.map(ChatStream.frame).join("")

/** Streams an answer. */
export const response = Effect.fnUntraced(function*(
  context: RequestContext,
  answering: Answering
): Effect.fn.Return<HttpServerResponse.HttpServerResponse, RunError> {
  const { handle: { run }, turn } = answering
  const writer = new UiWriter({ run, turn, links: yield* links, traceId: context.caller.traceId })
  return ChatStream.response(context, answering, {
    start: () => frames(writer.start()),
    write: (parts, decidable) => frames(writer.write(parts, decidable)),
    end: () => `${frames(writer.end())}data: [DONE]\n\n`,
    refuse: (reason) => frames(writer.fail(ChatStream.refusalOf(reason)))
  }, { "x-vercel-ai-ui-message-stream": "v1" })
})
