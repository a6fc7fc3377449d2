import { AiSdk } from "@fastagentic/adapters/ai-sdk"
import { jsonSchema, tool, ToolLoopAgent } from "ai"
import { type Play, suite, type ToolName } from "../../src/adapter-contract.ts"
import { playLanguageModel } from "./languageModel.ts"

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
    model: playLanguageModel(play),
    tools: { look: act("look"), refund: act("refund"), pay: act("pay") },
    toolApproval: { pay: "user-approval" }
  })
}

suite("AI SDK", {
  capabilities: AiSdk.capabilities,
  perform: (agent, play) => AiSdk.layer(agent, agentOf(play), { prompt: ({ question }) => question })
})
