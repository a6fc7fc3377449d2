import { Agent, type AgentConfig } from "@mastra/core/agent"
import { createTool } from "@mastra/core/tools"
import { jsonSchema } from "ai"
import { MastraAgents } from "fastagentic/mastra"
import { languageModel } from "./languageModel.ts"
import { look, orderSchema } from "./script.ts"
import { Desk, type Subject } from "./subject.ts"

const agent = new Agent({
  id: "desk",
  name: "desk",
  instructions: "Answer.",
  defaultOptions: { maxSteps: 10 },
  // cast: Mastra takes models of the AI SDK, and declares another result of `doGenerate` for them.
  model: languageModel as unknown as AgentConfig["model"],
  tools: {
    look: createTool({
      id: "look",
      description: "Looks",
      inputSchema: jsonSchema<{ order: number }>(orderSchema),
      execute: look
    })
  }
})

export const subject: Subject = {
  alone: async function*() {
    const { fullStream } = await agent.stream("Where is it?")
    for await (const chunk of fullStream) if (chunk.type === "text-delta") yield chunk.payload.text
  },
  hosted: MastraAgents.layer(Desk, agent, { prompt: ({ question }) => question })
}
