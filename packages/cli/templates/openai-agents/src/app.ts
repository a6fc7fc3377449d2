import { Agent as SdkAgent, tool } from "@openai/agents"
import { Schema } from "effect"
import { Agent, App } from "fastagentic"
import { OpenAiAgents } from "fastagentic/openai-agents"
import { z } from "zod"
import { offline } from "./offline.ts"

class Support extends Agent.make("support", {
  description: "Answers questions about orders",
  payload: { question: Schema.NonEmptyString },
  examples: ["Where is order 1042?"]
}) {}

const parameters = z.object({ orderId: z.number().int() })

const support = new SdkAgent({
  name: "support",
  instructions: "You answer questions about orders.",
  model: "offline",
  tools: [
    tool({
      name: "find_order",
      description: "Find one order by its id",
      parameters,
      execute: async ({ orderId }) => ({ id: orderId, state: "shipped", trackingCode: "AC-2210" })
    }),
    tool({
      name: "cancel_order",
      description: "Cancel an order",
      parameters,
      needsApproval: true,
      execute: async ({ orderId }) => ({ id: orderId, state: "cancelled" })
    })
  ]
})

class Main extends App.make("__name__", { version: "0.1.0", agents: [Support] }) {}

export default Main.provide(
  OpenAiAgents.layer(Support, support, { input: ({ question }) => question, modelProvider: offline })
)
