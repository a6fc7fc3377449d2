import { jsonSchema, stepCountIs, tool, ToolLoopAgent } from "ai"
import { AiSdk } from "fastagentic/ai-sdk"
import { languageModel } from "./languageModel.ts"
import { look, orderSchema } from "./script.ts"
import { Desk, type Subject } from "./subject.ts"

const agent = new ToolLoopAgent({
  model: languageModel,
  stopWhen: stepCountIs(10),
  tools: {
    look: tool({ description: "Looks", inputSchema: jsonSchema<{ order: number }>(orderSchema), execute: look })
  }
})

export const subject: Subject = {
  alone: async function*() {
    const { fullStream } = await agent.stream({ prompt: "Where is it?" })
    for await (const part of fullStream) if (part.type === "text-delta") yield part.text
  },
  hosted: AiSdk.layer(Desk, agent, { prompt: ({ question }) => question })
}
