// Span names and attributes of OpenTelemetry's GenAI conventions; the runtime and the tracing hooks use them.
import type { Tracer } from "effect"
import type * as Response from "effect/ai/Response"
import type { RunRecord } from "../../run/RunRecord.ts"

/** The names of OpenTelemetry's GenAI conventions as of 1.41.1, the last that the vendors read. */

/** The span of a segment of a run. */
export const spanOf = ({ agent, attempt, kind, owner, runId, tenant, threadId }: RunRecord) => {
  const shared = {
    "fastagentic.run.id": runId,
    "fastagentic.run.attempt": attempt,
    "fastagentic.tenant": tenant,
    "user.id": owner
  }
  return kind === "tool"
    ? { name: `execute_tool ${agent}`, attributes: { ...toolAttributes(agent), ...shared } }
    : {
      name: `invoke_agent ${agent}`,
      attributes: {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": agent,
        ...(threadId === undefined ? {} : { "gen_ai.conversation.id": threadId }),
        ...shared
      }
    }
}

export const toolAttributes = (name: string) => ({
  "gen_ai.operation.name": "execute_tool",
  "gen_ai.tool.name": name,
  "gen_ai.tool.type": "function"
})

export const chatAttributes = (model: string) => ({
  "gen_ai.operation.name": "chat",
  "gen_ai.request.model": model
})

/** The metadata of an answer's parts, without their content. */
export const noteAnswer = (part: Response.AnyPart, span: Tracer.Span) => {
  if (part.type === "response-metadata") {
    if (part.modelId !== undefined) span.attribute("gen_ai.response.model", part.modelId)
    if (part.id !== undefined) span.attribute("gen_ai.response.id", part.id)
  } else if (part.type === "finish") {
    const { inputTokens, outputTokens } = part.usage
    span.attribute("gen_ai.response.finish_reasons", [part.reason])
    noteCount(span, "gen_ai.usage.input_tokens", inputTokens.total)
    noteCount(span, "gen_ai.usage.output_tokens", outputTokens.total)
    noteCount(span, "gen_ai.usage.cache_read.input_tokens", inputTokens.cacheRead)
    noteCount(span, "gen_ai.usage.cache_creation.input_tokens", inputTokens.cacheWrite)
    noteCount(span, "gen_ai.usage.reasoning.output_tokens", outputTokens.reasoning)
  } else if (part.type === "error") span.attribute("error.type", "provider_error")
}

const noteCount = (span: Tracer.Span, key: string, count: number | undefined) => {
  if (count !== undefined) span.attribute(key, count)
}
