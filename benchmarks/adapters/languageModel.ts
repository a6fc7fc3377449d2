/** A model of the AI SDK, also for Mastra, that answers from the script without a network. */
import type { LanguageModelV4, LanguageModelV4StreamPart } from "@ai-sdk/provider"
import { simulateReadableStream } from "ai"
import { answer, usage } from "./script.ts"

export const languageModel: LanguageModelV4 = {
  specificationVersion: "v4",
  provider: "script",
  modelId: "script-1",
  supportedUrls: {},
  doGenerate: () => Promise.reject(new Error("this model only streams")),
  doStream: async ({ prompt }) => {
    const { call, texts } = answer(prompt.filter(({ role }) => role === "assistant").length)
    const parts: Array<LanguageModelV4StreamPart> = [{ type: "text-start", id: "1" }]
    for (const delta of texts) parts.push({ type: "text-delta", id: "1", delta })
    parts.push({ type: "text-end", id: "1" })
    if (call !== undefined) {
      const input = JSON.stringify(call.args)
      parts.push(
        { type: "tool-input-start", id: call.id, toolName: call.name },
        { type: "tool-input-delta", id: call.id, delta: input },
        { type: "tool-input-end", id: call.id },
        { type: "tool-call", toolCallId: call.id, toolName: call.name, input }
      )
    }
    parts.push({
      type: "finish",
      finishReason: { unified: call === undefined ? "stop" : "tool-calls", raw: undefined },
      usage: {
        inputTokens: { total: usage.input, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
        outputTokens: { total: usage.output, text: undefined, reasoning: undefined }
      }
    })
    return { stream: simulateReadableStream({ chunks: parts, initialDelayInMs: null, chunkDelayInMs: null }) }
  }
}
