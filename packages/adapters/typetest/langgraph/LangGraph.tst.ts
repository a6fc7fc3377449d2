import type { AdapterError } from "@fastagentic/adapters/adapter"
import { LangGraph } from "@fastagentic/adapters/langgraph"
import { Agent } from "@fastagentic/core"
import { Annotation, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph"
import { Context, Effect, type Layer, Schema } from "effect"
import { describe, expect, test } from "tstyche"

class Ask extends Agent.make("ask", { description: "Asks", payload: { question: Schema.String } }) {}

class Count extends Agent.make("count", {
  description: "Counts",
  payload: { n: Schema.Int },
  success: Schema.Int
}) {}

class Steps extends Context.Service<Steps, { readonly by: number }>()("test/Steps") {}

const chat = new StateGraph(MessagesAnnotation).addNode("only", () => ({})).addEdge(START, "only").compile()

const counter = new StateGraph(Annotation.Root({ n: Annotation<number>() }))
  .addNode("only", ({ n }) => ({ n: n + 1 }))
  .addEdge(START, "only")
  .compile()

describe("LangGraph.layer", () => {
  test("provides the agent's handler", () => {
    const layer = LangGraph.layer(Ask, chat, { input: ({ question }) => ({ messages: [question] }) })
    expect(layer).type.toBe<Layer.Layer<Agent.Handler<"ask">, AdapterError.AdapterLoadError>>()
  })

  test("requires a mapping where the types differ", () => {
    expect(LangGraph.layer).type.not.toBeCallableWith(Ask, chat)
    expect(LangGraph.layer).type.not.toBeCallableWith(Count, counter)
    expect(LangGraph.layer).type.toBeCallableWith(Count, counter, { output: ({ n }: { n: number }) => n })
    expect(LangGraph.layer).type.not.toBeCallableWith(Count, counter, { output: ({ n }: { n: number }) => String(n) })
  })

  test("requires the services that make the graph", () => {
    const layer = LangGraph.layer(Count, () => Effect.as(Steps, counter), { output: ({ n }) => n })
    expect(layer).type.toBe<Layer.Layer<Agent.Handler<"count">, AdapterError.AdapterLoadError, Steps>>()
  })
})
