// The conformance kit for agents that a function of the run makes of the tools and the model of the app.
import { AiSdk } from "@fastagentic/adapters/ai-sdk"
import { LangGraph } from "@fastagentic/adapters/langgraph"
import { MastraAgents } from "@fastagentic/adapters/mastra"
import { OpenAiAgents } from "@fastagentic/adapters/openai-agents"
import { MessagesAnnotation, START, StateGraph } from "@langchain/langgraph"
import { ToolNode, toolsCondition } from "@langchain/langgraph/prebuilt"
import { Agent as MastraAgent } from "@mastra/core/agent"
import { Agent as SdkAgent } from "@openai/agents"
import { ToolLoopAgent } from "ai"
import { Layer } from "effect"
import { createAgent } from "langchain"
import { layerApp, suite, toolkit } from "../../src/adapter-contract.ts"

suite("AI SDK, an agent that a function of the run makes of the app's tools and model", {
  capabilities: { ...AiSdk.capabilities, toolInjection: "factory" },
  declares: false,
  perform: (agent, play) =>
    AiSdk.layer(agent, ({ model, tools }) => new ToolLoopAgent({ model: model(), tools }), {
      prompt: ({ question }) => question,
      toolkit
    }).pipe(Layer.provide(layerApp(play)))
})

suite("OpenAI Agents, an agent that a function of the run makes of the app's tools and model", {
  capabilities: { ...OpenAiAgents.capabilities, toolInjection: "factory" },
  declares: false,
  perform: (agent, play) =>
    OpenAiAgents.layer(agent, ({ model, tools }) => new SdkAgent({ name: "subject", model: model(), tools }), {
      input: ({ question }) => question,
      toolkit
    }).pipe(Layer.provide(layerApp(play)))
})

suite("Mastra, an agent that a function of the run makes of the app's tools and model", {
  capabilities: { ...MastraAgents.capabilities, toolInjection: "factory" },
  declares: false,
  perform: (agent, play) =>
    MastraAgents.layer(
      agent,
      ({ model, tools }) =>
        new MastraAgent({ id: "subject", name: "subject", instructions: "Play.", model: model(), tools }),
      { prompt: ({ question }) => question, toolkit }
    ).pipe(Layer.provide(layerApp(play)))
})

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
