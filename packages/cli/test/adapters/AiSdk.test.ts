import type { LanguageModelV4StreamPart } from "@ai-sdk/provider"
import { AiSdk } from "@fastagentic/adapters/ai-sdk"
import { jsonSchema, simulateReadableStream, tool, ToolLoopAgent } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import { type Play, suite, type ToolName, type Turn } from "../../src/adapter-contract.ts"

const partsOf = ({ calls, texts, usage }: Turn): Array<LanguageModelV4StreamPart> => [
  { type: "text-start", id: "1" },
  ...texts.map((delta) => ({ type: "text-delta" as const, id: "1", delta })),
  { type: "text-end", id: "1" },
  ...calls.flatMap(({ args, id, name }) => [
    { type: "tool-input-start" as const, id, toolName: name },
    { type: "tool-input-delta" as const, id, delta: JSON.stringify(args) },
    { type: "tool-input-end" as const, id },
    { type: "tool-call" as const, toolCallId: id, toolName: name, input: JSON.stringify(args) }
  ]),
  {
    type: "finish",
    finishReason: { unified: calls.length === 0 ? "stop" : "tool-calls", raw: undefined },
    usage: {
      inputTokens: { total: usage.inputTokens, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
      outputTokens: { total: usage.outputTokens, text: undefined, reasoning: undefined }
    }
  }
]

const inputSchema = jsonSchema<{ order: number }>({
  type: "object",
  properties: { order: { type: "integer" } },
  required: ["order"]
})

const agentOf = (play: Play) => {
  const act = (name: ToolName) =>
    tool({
      description: name,
      inputSchema,
      execute: ({ order }, { abortSignal }) => play.work(name, { order }, abortSignal)
    })
  return new ToolLoopAgent({
    model: new MockLanguageModelV4({
      provider: "play",
      modelId: "play-1",
      doStream: async ({ abortSignal, prompt }) => {
        const answers = prompt.filter(({ role }) => role === "assistant").length
        const turn = await play.answer(answers, JSON.stringify(prompt), abortSignal)
        return { stream: simulateReadableStream({ chunks: partsOf(turn) }) }
      }
    }),
    tools: { look: act("look"), refund: act("refund"), pay: act("pay") },
    toolApproval: { pay: "user-approval" }
  })
}

suite("AI SDK", {
  capabilities: AiSdk.capabilities,
  perform: (agent, play) => AiSdk.layer(agent, agentOf(play), { prompt: ({ question }) => question })
})
