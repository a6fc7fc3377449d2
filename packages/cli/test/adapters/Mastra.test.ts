import { MastraAgents } from "@fastagentic/adapters/mastra"
import { createTool } from "@mastra/core/tools"
import { jsonSchema } from "ai"
import { type Play, suite, type ToolName } from "../../src/adapter-contract.ts"
import { playLanguageModel } from "./languageModel.ts"
import { mastraAgent } from "./mastraAgent.ts"

const inputSchema = jsonSchema<{ order: number }>({
  type: "object",
  properties: { order: { type: "integer" } },
  required: ["order"]
})

const agentOf = (play: Play) => {
  const act = (id: ToolName) =>
    createTool({
      id,
      description: id,
      inputSchema,
      requireApproval: id === "pay",
      execute: ({ order }, { abortSignal }) => play.work(id, { order }, abortSignal)
    })
  return mastraAgent("subject", playLanguageModel(play), {
    tools: { look: act("look"), refund: act("refund"), pay: act("pay") }
  })
}

suite("Mastra", {
  capabilities: MastraAgents.capabilities,
  perform: (agent, play) => MastraAgents.layer(agent, agentOf(play), { prompt: ({ question }) => question })
})
