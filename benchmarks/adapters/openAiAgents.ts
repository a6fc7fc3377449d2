import {
  Agent,
  type Model,
  type ModelProvider,
  Runner,
  setTracingDisabled,
  type StreamEvent,
  tool
} from "@openai/agents"
import { OpenAiAgents } from "fastagentic/openai-agents"
import { answer, look, orderSchema, usage } from "./script.ts"
import { Desk, type Subject } from "./subject.ts"

const model: Model = {
  getResponse: () => Promise.reject(new Error("this model only streams")),
  getStreamedResponse: async function*({ input }): AsyncGenerator<StreamEvent> {
    const items = typeof input === "string" ? [] : input
    const { call, texts } = answer(items.filter((item) => "role" in item && item.role === "assistant").length)
    yield { type: "response_started" }
    for (const delta of texts) yield { type: "output_text_delta", delta }
    yield {
      type: "response_done",
      response: {
        id: "response",
        usage: { inputTokens: usage.input, outputTokens: usage.output, totalTokens: usage.input + usage.output },
        output: [
          {
            type: "message",
            role: "assistant",
            status: "completed",
            content: [{ type: "output_text", text: texts.join("") }]
          },
          ...(call === undefined ? [] : [{
            type: "function_call" as const,
            callId: call.id,
            name: call.name,
            status: "completed" as const,
            arguments: JSON.stringify(call.args)
          }])
        ]
      }
    }
  }
}
const modelProvider: ModelProvider = { getModel: () => model }

const agent = new Agent({
  name: "desk",
  model: "script-1",
  tools: [
    tool({
      name: "look",
      description: "Looks",
      parameters: orderSchema,
      strict: true,
      execute: (args: unknown) => look({ order: Number(Object(args).order) })
    })
  ]
})
setTracingDisabled(true)
const runner = new Runner({ modelProvider, tracingDisabled: true })

export const subject: Subject = {
  alone: async function*() {
    const stream = await runner.run(agent, "Where is it?", { stream: true })
    for await (const event of stream) {
      if (event.type === "raw_model_stream_event" && event.data.type === "output_text_delta") yield event.data.delta
    }
    await stream.completed
  },
  hosted: OpenAiAgents.layer(Desk, agent, { input: ({ question }) => question, modelProvider })
}
