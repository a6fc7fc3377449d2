import { tool } from "@langchain/core/tools"
import { Schema } from "effect"
import { Agent, App } from "fastagentic"
import { LangGraph } from "fastagentic/langgraph"
import { createAgent } from "langchain"
import { offline } from "./offline.ts"

class Support extends Agent.make("support", {
  description: "Answers questions about orders",
  payload: { question: Schema.NonEmptyString },
  examples: ["Where is order 1042?"]
}) {}

const schema = {
  type: "object" as const,
  properties: { orderId: { type: "integer" as const } },
  required: ["orderId"]
}

const findOrder = tool(({ orderId }: { orderId: number }) => ({ id: orderId, state: "shipped", trackingCode: "AC-2210" }), {
  name: "find_order",
  description: "Find one order by its id",
  schema
})

const support = createAgent({
  model: offline,
  systemPrompt: "You answer questions about orders.",
  tools: [findOrder]
})

class Main extends App.make("__name__", { version: "0.1.0", agents: [Support] }) {}

export default Main.provide(
  LangGraph.layer(Support, support.graph, {
    input: ({ question }) => ({ messages: [{ role: "user", content: question }] })
  })
)
