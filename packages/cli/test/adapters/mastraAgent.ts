import { Agent, type AgentConfig } from "@mastra/core/agent"
import type { MockLanguageModelV4 } from "ai/test"

type Config = Omit<AgentConfig, "id" | "name" | "model" | "instructions">

/** An agent of Mastra with a fake model of the AI SDK. */
export const mastraAgent = (id: string, model: MockLanguageModelV4, config: Config = {}) =>
  new Agent({
    id,
    name: id,
    instructions: "Play.",
    ...config,
    // cast: Mastra takes models of the AI SDK, and declares another result of `doGenerate` for them.
    model: model as unknown as AgentConfig["model"]
  })
