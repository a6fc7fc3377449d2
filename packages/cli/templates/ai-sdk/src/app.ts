import { jsonSchema, tool, ToolLoopAgent } from "ai"
import { Schema } from "effect"
import { Agent, App } from "fastagentic"
import { AiSdk } from "fastagentic/ai-sdk"
import { offline } from "./offline.ts"

class Support extends Agent.make("support", {
  description: "Answers questions about orders",
  payload: { question: Schema.NonEmptyString },
  examples: ["Where is order 1042?"]
}) {}

const inputSchema = jsonSchema<{ orderId: number }>({
  type: "object",
  properties: { orderId: { type: "integer" } },
  required: ["orderId"]
})

const support = new ToolLoopAgent({
  model: offline,
  instructions: "You answer questions about orders.",
  tools: {
    find_order: tool({
      description: "Find one order by its id",
      inputSchema,
      execute: async ({ orderId }) => ({ id: orderId, state: "shipped", trackingCode: "AC-2210" })
    }),
    cancel_order: tool({
      description: "Cancel an order",
      inputSchema,
      execute: async ({ orderId }) => ({ id: orderId, state: "cancelled" })
    })
  },
  toolApproval: { cancel_order: "user-approval" }
})

class Main extends App.make("__name__", { version: "0.1.0", agents: [Support] }) {}

export default Main.provide(AiSdk.layer(Support, support, { prompt: ({ question }) => question }))
