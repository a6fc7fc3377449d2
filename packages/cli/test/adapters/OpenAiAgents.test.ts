import { OpenAiAgents } from "@fastagentic/adapters/openai-agents"
import { Agent, type StreamEvent, tool } from "@openai/agents"
import { assistantMessage, functionCall, modelStreamResponder, ScriptedModel } from "@openai/agents/testing"
import { type Play, suite, type ToolName, type Turn } from "../../src/adapter-contract.ts"

async function* eventsOf({ calls, texts, usage }: Turn): AsyncGenerator<StreamEvent> {
  yield { type: "response_started" }
  for (const delta of texts) yield { type: "output_text_delta", delta }
  yield {
    type: "response_done",
    response: {
      id: "response",
      usage: { ...usage, totalTokens: usage.inputTokens + usage.outputTokens },
      output: [
        assistantMessage(texts.join("")),
        ...calls.map(({ args, id, name }) => functionCall(name, args, { callId: id }))
      ]
    }
  }
}

const parameters = {
  type: "object" as const,
  properties: { order: { type: "integer" } },
  required: ["order"],
  additionalProperties: false as const
}

const modelOf = (play: Play) =>
  new ScriptedModel(Array.from({ length: 30 }, () =>
    modelStreamResponder(async ({ request: { input, signal } }) => {
      const items = typeof input === "string" ? [] : input
      const answers = items.filter((item) => "role" in item && item.role === "assistant").length
      return eventsOf(await play.answer(answers, JSON.stringify(input), signal))
    })))

const agentOf = (play: Play) => {
  const act = (name: ToolName) =>
    tool({
      name,
      description: name,
      parameters,
      strict: true,
      needsApproval: name === "pay",
      execute: (args: unknown, _context, details) =>
        play.work(name, { order: Number(Object(args).order) }, details?.signal)
    })
  return new Agent({ name: "subject", model: "play-1", tools: [act("look"), act("refund"), act("pay")] })
}

suite("OpenAI Agents", {
  capabilities: OpenAiAgents.capabilities,
  perform: (agent, play) => {
    const model = modelOf(play)
    return OpenAiAgents.layer(agent, agentOf(play), {
      input: ({ question }) => [{ role: "user", content: question }],
      modelProvider: { getModel: () => model }
    })
  }
})
