// Converts a complete chat completion to parts.
import { Effect } from "effect"
import * as AiError from "effect/ai/AiError"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import { costMetadata } from "../../adapter/PartEvents.ts"
import type * as Wire from "./wire.ts"

/** The common end of a complete and of a streamed answer. */
export interface Ending {
  readonly reason: Response.FinishReason
  readonly usage: Wire.Usage | undefined
  /** Metadata that a gateway reported beside the answer. */
  readonly costUsd: number | undefined
}

const sum = (total: number | null | undefined, part: number | null | undefined): number | undefined =>
  total === undefined || total === null ? undefined : Math.max(0, total - (part ?? 0))

export const finishReason = (reason: string | null | undefined, calls: number): Response.FinishReason => {
  switch (reason) {
    case "stop":
      return calls > 0 ? "tool-calls" : "stop"
    case "tool_calls":
    case "function_call":
      return "tool-calls"
    case "length":
      return "length"
    case "content_filter":
      return "content-filter"
    case null:
    case undefined:
      return "unknown"
    default:
      return "other"
  }
}

/** Some providers leave reasoning out of the completion and count it in the total only. */
const outputTotal = (usage: Wire.Usage | undefined): number | undefined => {
  const { completion_tokens: completion, prompt_tokens: prompt, total_tokens: total } = usage ?? {}
  const rest = typeof total === "number" && typeof prompt === "number" ? total - prompt : undefined
  return typeof completion === "number" ? Math.max(completion, rest ?? completion) : rest
}

export const toFinish = ({ costUsd, reason, usage }: Ending): Response.FinishPartEncoded => {
  const input = usage?.prompt_tokens_details
  const reasoning = usage?.completion_tokens_details?.reasoning_tokens
  return {
    type: "finish",
    reason,
    metadata: costMetadata(costUsd ?? usage?.cost ?? undefined),
    usage: {
      inputTokens: {
        uncached: sum(usage?.prompt_tokens, input?.cached_tokens),
        total: usage?.prompt_tokens ?? undefined,
        cacheRead: input?.cached_tokens ?? undefined,
        cacheWrite: input?.cache_write_tokens ?? undefined
      },
      outputTokens: {
        total: outputTotal(usage),
        text: sum(usage?.completion_tokens, reasoning),
        reasoning: reasoning ?? undefined
      }
    }
  }
}

export const toCall = (
  id: string,
  name: string,
  text: string
): Effect.Effect<Response.ToolCallPartEncoded, AiError.ToolParameterValidationError> =>
  Effect.try({
    try: () => ({
      type: "tool-call" as const,
      id,
      name,
      params: text.trim() === "" ? {} : Tool.unsafeSecureJsonParse(text)
    }),
    catch: () =>
      new AiError.ToolParameterValidationError({ toolName: name, description: "the arguments are not valid JSON" })
  })

/** The parts of a complete answer. */
export const toParts = Effect.fnUntraced(function*(
  { choices: [choice], id, model, usage }: Wire.Completion,
  costUsd: number | undefined
) {
  const { content, reasoning_content: reasoning, refusal, tool_calls: calls } = choice.message
  const text = content ?? refusal
  const parts: Array<Response.PartEncoded> = [
    { type: "response-metadata", id: id ?? undefined, modelId: model ?? undefined }
  ]
  if (reasoning) parts.push({ type: "reasoning", text: reasoning })
  if (text) parts.push({ type: "text", text })
  const called = yield* Effect.forEach(
    calls ?? [],
    (call, index) => toCall(call.id ?? `${id ?? "call"}_${index}`, call.function.name, call.function.arguments ?? "")
  )
  const reason = refusal ? "content-filter" : finishReason(choice.finish_reason, called.length)
  parts.push(...called, toFinish({ costUsd, reason, usage: usage ?? undefined }))
  return parts
})
