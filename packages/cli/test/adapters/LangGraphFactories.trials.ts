// The conformance kit for graphs of LangGraph and agents of LangChain that a function of the run makes of the tools and the model
// of the app.
import { LangGraph } from "@fastagentic/adapters/langgraph"
import { MessagesAnnotation, START, StateGraph } from "@langchain/langgraph"
import { ToolNode, toolsCondition } from "@langchain/langgraph/prebuilt"
import { Layer } from "effect"
import { createAgent } from "langchain"
import { layerApp, suite, toolkit } from "../../src/adapter-contract.ts"

const reaches = { llm: "modify", tool: "modify", node: "block" } as const

suite("LangGraph, a graph that a function of the run makes of the app's tools and model", {
  capabilities: { ...LangGraph.capabilities, toolInjection: "factory" },
  declares: false,
  reaches,
  perform: (agent, play) =>
    LangGraph.layer(agent, ({ model, tools }) => {
      const asking = model().bindTools?.(tools) ?? model()
      return new StateGraph(MessagesAnnotation)
        .addNode("model", async ({ messages }, config) => ({ messages: [await asking.invoke(messages, config)] }))
        .addNode("tools", new ToolNode(tools))
        .addEdge(START, "model")
        .addConditionalEdges("model", toolsCondition)
        .addEdge("tools", "model")
        .compile()
    }, {
      input: ({ question }) => ({ messages: [{ role: "user", content: question }] }),
      toolkit
    }).pipe(Layer.provide(layerApp(play)))
})

suite("LangChain createAgent of the app's tools and model", {
  capabilities: { ...LangGraph.capabilities, toolInjection: "factory" },
  declares: false,
  reaches,
  perform: (agent, play) =>
    LangGraph.layer(
      agent,
      ({ checkpointer, model, tools }) => createAgent({ model: model(), tools, checkpointer }).graph,
      { input: ({ question }) => ({ messages: [{ role: "user", content: question }] }), toolkit }
    ).pipe(Layer.provide(layerApp(play)))
})
