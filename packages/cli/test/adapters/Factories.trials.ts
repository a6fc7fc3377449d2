// The conformance kit for agents that a function of the run makes of the tools and the model of the app.
import { AiSdk } from "@fastagentic/adapters/ai-sdk"
import { MastraAgents } from "@fastagentic/adapters/mastra"
import { OpenAiAgents } from "@fastagentic/adapters/openai-agents"
import { Agent as MastraAgent } from "@mastra/core/agent"
import { Agent as SdkAgent } from "@openai/agents"
import { ToolLoopAgent } from "ai"
import { Layer } from "effect"
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
