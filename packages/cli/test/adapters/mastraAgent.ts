import { Agent, type AgentConfig } from "@mastra/core/agent"
import type { MockLanguageModelV4 } from "ai/test"

type Model = MockLanguageModelV4

type Config = Omit<AgentConfig, "id" | "name" | "model" | "instructions">

/** An agent of Mastra with fake models of the AI SDK, of which a later one stands in for an earlier one. */
export const mastraAgent = (id: string, model: Model | Array<{ readonly model: Model }>, config: Config = {}) =>
  new Agent({
    id,
    name: id,
    instructions: "Play.",
    ...config,
    // cast: Mastra takes models of the AI SDK, and declares another result of `doGenerate` for them.
    model: model as unknown as AgentConfig["model"]
  })
