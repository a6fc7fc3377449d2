// The earlier turns of a run that receives messages of its chat, as UI messages: `UiHistory` shows them until the run has
// ended, because its thread has them only then. The newest turn comes with `resumeStream()`.
import * as Content from "@fastagentic/core/run/Content"
import type { Schema } from "effect"
import type { ChatPart } from "../chat/ChatPart.ts"
import type { Turn } from "../chat/ChatRuns.ts"
import { messageIdOf } from "./UiChunk.ts"

/** A part of a UI message. */
export type Part = { readonly type: string; readonly [key: string]: Schema.Json }

/** The answer of a turn and the message that ended it, for each of them. */
export const toMessages = (
  runId: string,
  turns: ReadonlyArray<Turn>,
  partsOf: (contents: Content.List) => ReadonlyArray<Part>
) =>
  turns.flatMap(({ after, next, parts, said }) => [
    { id: messageIdOf(runId, after), role: "assistant" as const, parts: answerOf(parts, partsOf) },
    ...(said.length === 0 ? [] : [{ id: `${runId}-user-${next}`, role: "user" as const, parts: partsOf(said) }])
  ])

const answerOf = (
  parts: ReadonlyArray<ChatPart>,
  partsOf: (contents: Content.List) => ReadonlyArray<Part>
): ReadonlyArray<Part> => {
  const shown = new Map<string, Part>()
  for (const part of parts) {
    switch (part._tag) {
      case "Delta": {
        const text = shown.get(part.id)?.["text"] ?? ""
        shown.set(part.id, { type: part.kind, text: `${String(text)}${part.delta}`, state: "done" })
        break
      }
      case "ToolInput":
        shown.set(part.toolCallId, {
          type: `tool-${part.name}`,
          toolCallId: part.toolCallId,
          state: "input-available",
          input: part.input,
          providerExecuted: true
        })
        break
      case "ToolResult": {
        const call = shown.get(part.toolCallId)
        if (call === undefined) break
        shown.set(
          part.toolCallId,
          part.outcome === "ok"
            ? { ...call, state: "output-available", output: part.output }
            : { ...call, state: "output-error", errorText: textOf(part.output) }
        )
        break
      }
      case "Content":
        for (const [at, one] of partsOf(part.contents).entries()) shown.set(`${part.id}-${at}`, one)
        break
      case "Reset":
        shown.clear()
        break
    }
  }
  return [{ type: "step-start" }, ...shown.values()]
}

const textOf = (output: Schema.Json) => typeof output === "string" ? output : JSON.stringify(output)
