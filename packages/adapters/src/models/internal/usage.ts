// The finish part of an answer: its reason, its token counts and a gateway's price.
import type { LanguageModelV4FinishReason, LanguageModelV4Usage } from "@ai-sdk/provider"
import type * as Response from "effect/ai/Response"
import { costMetadata, knownCost } from "../../adapter/PartEvents.ts"
import { fieldsOf, numberOf, textOf } from "./fields.ts"

/** Effect's counts are whole numbers; a count that cannot be true is not reported. */
const count = (value: unknown): number | undefined => {
  const number = numberOf(value)
  return number === undefined || number < 0 ? undefined : Math.min(Math.ceil(number), Number.MAX_SAFE_INTEGER)
}

/** The packages give 0 for a count that an answer does not have. */
const statedOr = (total: number | undefined, raw: unknown, names: RegExp): number | undefined =>
  total === 0 && !Object.entries(fieldsOf(raw)).some(([name, value]) => names.test(name) && numberOf(value) === 0)
    ? undefined
    : total

/** Some providers count reasoning in the total only. */
const outputOf = ({ inputTokens, outputTokens, raw }: LanguageModelV4Usage): number | undefined => {
  const output = statedOr(count(outputTokens.total), raw, /output|completion|candidates/iu)
  const { total_tokens, totalTokenCount, totalTokens } = fieldsOf(raw)
  const total = count(total_tokens ?? totalTokens ?? totalTokenCount)
  const input = count(inputTokens.total)
  const rest = total === undefined || input === undefined ? undefined : Math.max(0, total - input)
  // A total without a rest says nothing about an output that is not there.
  return output === undefined ? rest || undefined : Math.max(output, rest ?? output)
}

const cacheWrites = (raw: unknown): unknown => {
  const { cache_creation_input_tokens, prompt_tokens_details } = fieldsOf(raw)
  return fieldsOf(prompt_tokens_details).cache_write_tokens ?? cache_creation_input_tokens
}

/** The price of the call as a gateway states it, beside the answer or in its usage. */
export const costOf = (headers: Readonly<Record<string, string | undefined>>, raw: unknown): number | undefined => {
  const { cost } = fieldsOf(raw)
  const { total, total_cost } = fieldsOf(cost)
  return knownCost(numberOf(headers["x-litellm-response-cost"])) ?? knownCost(numberOf(cost ?? total_cost ?? total)) ??
    knownCost(numberOf(total_cost ?? total))
}

/** The package of xAI does not read why a whole answer is incomplete. */
export const statedReason = (reason: LanguageModelV4FinishReason, body: unknown): LanguageModelV4FinishReason => {
  if (reason.unified !== "other" || reason.raw !== "incomplete") return reason
  const why = textOf(fieldsOf(fieldsOf(body).incomplete_details).reason)
  return { unified: why === "content_filter" ? "content-filter" : "length", raw: why ?? reason.raw }
}

/** A stream that was closed early has neither a reason nor a count in the packages that do not say so themselves. */
export const hasNoEnd = (
  { reason, usage }: { readonly reason: LanguageModelV4FinishReason; readonly usage: LanguageModelV4Usage }
): boolean => reason.unified === "other" && reason.raw === undefined && (usage.outputTokens.total ?? 0) === 0

export const reasonOf = ({ unified }: LanguageModelV4FinishReason, calls: number): Response.FinishReason => {
  if (unified === "stop" && calls > 0) return "tool-calls"
  return unified === "interrupted" ? "unknown" : unified
}

export const toFinish = (
  reason: Response.FinishReason,
  usage: LanguageModelV4Usage,
  costUsd: number | undefined
): Response.FinishPartEncoded => ({
  type: "finish",
  reason,
  metadata: costMetadata(costUsd),
  usage: {
    inputTokens: {
      uncached: count(usage.inputTokens.noCache),
      total: count(usage.inputTokens.total),
      cacheRead: count(usage.inputTokens.cacheRead),
      cacheWrite: count(usage.inputTokens.cacheWrite ?? cacheWrites(usage.raw))
    },
    outputTokens: {
      total: outputOf(usage),
      text: count(usage.outputTokens.text),
      reasoning: count(usage.outputTokens.reasoning)
    }
  }
})
