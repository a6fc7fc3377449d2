import { LangGraph } from "@fastagentic/adapters/langgraph"
import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager"
import { BaseChatModel, type BaseChatModelCallOptions } from "@langchain/core/language_models/chat_models"
import { AIMessageChunk, type BaseMessage } from "@langchain/core/messages"
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs"
import { tool } from "@langchain/core/tools"
import { END, interrupt, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph"
import { ToolNode } from "@langchain/langgraph/prebuilt"
import { type Play, suite, type ToolName } from "../../src/adapter-contract.ts"

/** LangChain's own fake models stream no tool calls. */
class PlayModel extends BaseChatModel {
  private readonly play: Play

  constructor(play: Play) {
    super({})
    this.play = play
  }

  _llmType() {
    return "play"
  }

  override getLsParams() {
    return { ls_model_type: "chat" as const, ls_provider: "play", ls_model_name: "play-1", ls_max_tokens: 2 }
  }

  _generate(): Promise<ChatResult> {
    return Promise.reject(new Error("this model only streams"))
  }

  override async *_streamResponseChunks(
    messages: Array<BaseMessage>,
    { signal }: BaseChatModelCallOptions,
    manager?: CallbackManagerForLLMRun
  ) {
    const answers = messages.filter(({ type }) => type === "ai").length
    const heard = JSON.stringify(messages.map(({ content, type }) => ({ type, content })))
    const { calls, texts, usage } = await this.play.answer(answers, heard, signal)
    const say = async (message: AIMessageChunk) => {
      const chunk = new ChatGenerationChunk({ text: message.text, message })
      await manager?.handleLLMNewToken(message.text, undefined, undefined, undefined, undefined, { chunk })
      return chunk
    }
    for (const text of texts) yield await say(new AIMessageChunk(text))
    for (const [index, { args, id, name }] of calls.entries()) {
      const tool_call_chunks = [{ index, id, name, args: JSON.stringify(args) }]
      yield await say(new AIMessageChunk({ content: "", tool_call_chunks }))
    }
    const { inputTokens, outputTokens } = usage
    const usage_metadata = {
      input_tokens: inputTokens,
      output_tokens: outputTokens,
      total_tokens: inputTokens + outputTokens
    }
    yield await say(Object.assign(new AIMessageChunk(""), { usage_metadata }))
  }
}

const graphOf = (play: Play) => {
  const model = new PlayModel(play)
  const act = (name: ToolName) =>
    tool(({ order }: { order: number }, config) => {
      if (name === "pay") interrupt({ pay: order })
      return play.work(name, { order }, config?.signal)
    }, {
      name,
      description: name,
      schema: { type: "object", properties: { order: { type: "integer" } }, required: ["order"] }
    })
  return new StateGraph(MessagesAnnotation)
    .addNode("model", async ({ messages }, config) => ({ messages: [await model.invoke(messages, config)] }))
    .addNode("tools", new ToolNode([act("look"), act("refund"), act("pay")], { handleToolErrors: false }))
    .addEdge(START, "model")
    .addConditionalEdges("model", ({ messages }) => {
      const last = messages.at(-1)
      return last !== undefined && "tool_calls" in last && Array.isArray(last.tool_calls) && last.tool_calls.length > 0
        ? "tools"
        : END
    })
    .addEdge("tools", "model")
    .compile()
}

suite("LangGraph", {
  capabilities: LangGraph.capabilities,
  denial: "run",
  perform: (agent, play) =>
    LangGraph.layer(agent, graphOf(play), {
      input: ({ question }) => ({ messages: [{ role: "user", content: question }] })
    })
})
