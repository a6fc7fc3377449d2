import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Agent } from "fastagentic"
import { vi } from "vitest"
import { AiSdk } from "../../src/ai-sdk.ts"
import { LangGraph } from "../../src/langgraph.ts"
import { MastraAgents } from "../../src/mastra.ts"
import { OpenAiAgents } from "../../src/openai-agents.ts"

const missing = vi.hoisted(() => () => {
  throw new Error("Cannot find package")
})
vi.mock("ai", missing)
vi.mock("@openai/agents", missing)
vi.mock("@langchain/langgraph", missing)

class Desk extends Agent.make("desk", { description: "Answers", payload: { question: Schema.String } }) {}

const refusal = <A>(layer: Layer.Layer<A, { readonly message: string }>) =>
  Effect.scoped(Effect.map(Effect.flip(Layer.build(layer)), ({ message }) => message))

describe("a framework that is not installed", () => {
  it.effect("stops the start with the command that installs it", () =>
    Effect.gen(function*() {
      const loop = { version: "agent-v1" as const, id: undefined, tools: {} }
      const named = { name: "desk", handoffDescription: "", handoffs: [] }
      assert.strictEqual(
        yield* refusal(AiSdk.layer(Desk, loop, { prompt: ({ question }) => question })),
        "the ai-sdk adapter needs ai, which cannot be loaded: npm install ai"
      )
      assert.strictEqual(
        yield* refusal(OpenAiAgents.layer(Desk, named, { input: ({ question }) => question })),
        "the openai-agents adapter needs @openai/agents, which cannot be loaded: npm install @openai/agents"
      )
      const hosted = { id: "desk", name: "desk", getDescription: () => "", hasOwnMemory: () => false }
      assert.strictEqual(
        yield* refusal(MastraAgents.layer(Desk, hosted, { prompt: ({ question }) => question })),
        "the mastra adapter needs ai, which cannot be loaded: npm install ai"
      )
      const graph = { invoke: () => Promise.reject(), stream: () => Promise.reject() }
      assert.strictEqual(
        yield* refusal(LangGraph.layer(Desk, graph, { output: () => "" })),
        "the langgraph adapter needs @langchain/langgraph, which cannot be loaded: npm install @langchain/langgraph"
      )
    }))
})
