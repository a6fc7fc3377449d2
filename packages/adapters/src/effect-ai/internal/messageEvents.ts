// Converts the parts of one message to events; a model call uses one instance for each message.
import type { Event } from "@fastagentic/core"
import { Schema } from "effect"
import * as Response from "effect/ai/Response"

const Content = Schema.toCodecJson(
  Schema.Union([Response.FilePart, Response.DocumentSourcePart, Response.UrlSourcePart])
)
const encodeContent = Schema.encodeSync(Content)
const toJson = Schema.decodeUnknownSync(Schema.Json)

/** Turns the parts of one message into events, in the order they arrive. */
export const messageEvents = (messageId: string, toolCallIdOf: (id: string) => string) => {
  let started = false

  const body = (part: Response.AnyPart): ReadonlyArray<Event.Event> => {
    switch (part.type) {
      case "text":
        return said("token", part.text, { messageId })
      case "text-delta":
        return said("token", part.delta, { messageId, blockId: part.id })
      case "reasoning":
        return said("reasoning_delta", part.text, { messageId })
      case "reasoning-delta":
        return said("reasoning_delta", part.delta, { messageId, blockId: part.id })
      case "tool-params-start":
        return [{ type: "tool_call_start", data: { toolCallId: toolCallIdOf(part.id), name: part.name, messageId } }]
      case "tool-params-delta":
        return [{ type: "tool_call_delta", data: { toolCallId: toolCallIdOf(part.id), delta: part.delta } }]
      case "tool-call":
        return called(part)
      case "tool-result":
        return [{
          type: "tool_result",
          data: {
            toolCallId: toolCallIdOf(part.id),
            name: part.name,
            result: toJson(part.encodedResult ?? null),
            isError: part.isFailure
          }
        }]
      case "file": {
        const kind = part.mediaType.startsWith("image/") ? "image" : "file"
        return [{ type: "content", data: { messageId, kind, part: encodeContent(part) } }]
      }
      case "source":
        return [{ type: "content", data: { messageId, kind: "source", part: encodeContent(part) } }]
      default:
        return []
    }
  }

  const called = (part: Response.ToolCallPart<string, unknown>): ReadonlyArray<Event.Event> => {
    const call = { toolCallId: toolCallIdOf(part.id), name: part.name, arguments: argumentsOf(part) }
    const requested = { type: "tool_call", data: call } as const
    return part.providerExecuted
      ? [requested, { type: "tool_start", data: { ...call, origin: "provider" } }]
      : [requested]
  }

  return {
    of: (part: Response.AnyPart): ReadonlyArray<Event.Event> => {
      const events = body(part)
      if (started || events.length === 0) return events
      started = true
      return [{ type: "message_start", data: { messageId, role: "assistant" } }, ...events]
    },
    end: (finishReason: string): ReadonlyArray<Event.Event> =>
      started ? [{ type: "message_end", data: { messageId, finishReason } }] : []
  }
}

const said = (
  type: "token" | "reasoning_delta",
  delta: string,
  place: { readonly messageId: string; readonly blockId?: string }
): ReadonlyArray<Event.Event> => delta === "" ? [] : [{ type, data: { delta, ...place } }]

/** The arguments that a model gave, unchecked; missing arguments are an empty object. */
export const argumentsOf = (part: { readonly params: unknown }): Schema.Json => toJson(part.params ?? {})
