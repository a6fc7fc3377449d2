// Tokens that a call of a model has spent, and the check of such a report. Event exports both.
import { Schema } from "effect"

const optional = Schema.optionalKey

export const Usage = Schema.Struct({
  inputTokens: Schema.Int,
  outputTokens: Schema.Int,
  cacheReadTokens: optional(Schema.Int),
  cacheWriteTokens: optional(Schema.Int),
  reasoningTokens: optional(Schema.Int),
  costUsd: optional(Schema.Finite)
})

export type Usage = typeof Usage.Type

/** No call of a model has more tokens, or costs more dollars, than this: a larger number is an error of its source. */
const maxTokens = 1e9
const maxCostUsd = 1e6

const countOf = (value: number | undefined): number | undefined =>
  value !== undefined && value >= 0 && value <= maxTokens ? Math.ceil(value) : undefined

export const checkUsage = (reported: { readonly [Key in keyof Usage]?: number | undefined }): Usage | undefined => {
  const [inputTokens, outputTokens] = [countOf(reported.inputTokens), countOf(reported.outputTokens)]
  if (inputTokens === undefined || outputTokens === undefined) return undefined
  const cacheReadTokens = Math.min(countOf(reported.cacheReadTokens) ?? 0, inputTokens)
  const cacheWriteTokens = Math.min(countOf(reported.cacheWriteTokens) ?? 0, inputTokens - cacheReadTokens)
  const reasoningTokens = countOf(reported.reasoningTokens) ?? 0
  const { costUsd } = reported
  return {
    inputTokens,
    outputTokens,
    ...(cacheReadTokens > 0 ? { cacheReadTokens } : {}),
    ...(cacheWriteTokens > 0 ? { cacheWriteTokens } : {}),
    ...(reasoningTokens > 0 ? { reasoningTokens } : {}),
    ...(costUsd !== undefined && costUsd >= 0 && costUsd <= maxCostUsd ? { costUsd } : {})
  }
}
