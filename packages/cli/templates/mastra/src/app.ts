import { Agent as MastraAgent, type AgentConfig } from "@mastra/core/agent"
import { createTool } from "@mastra/core/tools"
import { Schema } from "effect"
import { Agent, App } from "fastagentic"
import { MastraAgents } from "fastagentic/mastra"
import { z } from "zod"
import { offline } from "./offline.ts"

class Support extends Agent.make("support", {
  description: "Answers questions about orders",
  payload: { question: Schema.NonEmptyString },
  examples: ["Where is order 1042?"]
}) {}

const inputSchema = z.object({ orderId: z.number().int() })

const support = new MastraAgent({
  id: "support",
  name: "support",
  instructions: "You answer questions about orders.",
  // Mastra takes models of the AI SDK, and declares them with another version of its types.
  model: offline as unknown as AgentConfig["model"],
  tools: {
    find_order: createTool({
      id: "find_order",
      description: "Find one order by its id",
      inputSchema,
      execute: async ({ orderId }) => ({ id: orderId, state: "shipped", trackingCode: "AC-2210" })
    }),
    cancel_order: createTool({
      id: "cancel_order",
      description: "Cancel an order",
      inputSchema,
      requireApproval: true,
      execute: async ({ orderId }) => ({ id: orderId, state: "cancelled" })
    })
  }
})

class Main extends App.make("__name__", { version: "0.1.0", agents: [Support] }) {}

export default Main.provide(MastraAgents.layer(Support, support, { prompt: ({ question }) => question }))
