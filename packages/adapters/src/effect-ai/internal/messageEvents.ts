// Converts the parts of one message to events; message.ts gives it the identity of the call that a part belongs to.
import { Event } from "@fastagentic/core"
import type * as Response from "effect/ai/Response"
import { toJson } from "../../adapter/Json.ts"
import { fromResponsePart } from "../PromptContent.ts"
import { argumentsOf } from "./callArguments.ts"

/** The events of a part; `toolCallId` is that of its call. */
export const eventsOf = (
  part: Response.AnyPart,
  messageId: string,
  toolCallId: string
): ReadonlyArray<Event.Event> => {
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
      return [{ type: "tool_call_start", data: { toolCallId, name: part.name, messageId } }]
    case "tool-params-delta":
      return [{ type: "tool_call_delta", data: { toolCallId, delta: part.delta } }]
    case "tool-call": {
      const call = { toolCallId, name: part.name, arguments: argumentsOf(part.params).arguments }
      const requested = { type: "tool_call", data: call } as const
      return part.providerExecuted
        ? [requested, { type: "tool_start", data: { ...call, origin: "provider" } }]
        : [requested]
    }
    case "tool-result": {
      const { encodedResult, isFailure, name } = part
      return [{ type: "tool_result", data: { toolCallId, name, result: toJson(encodedResult), isError: isFailure } }]
    }
    case "file":
    case "source":
      return [Event.content(fromResponsePart(part), { messageId })]
    default:
      return []
  }
}

const said = (
  type: "token" | "reasoning_delta",
  delta: string,
  place: { readonly messageId: string; readonly blockId?: string }
): ReadonlyArray<Event.Event> => delta === "" ? [] : [{ type, data: { delta, ...place } }]
