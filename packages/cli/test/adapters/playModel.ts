import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager"
import { BaseChatModel, type BaseChatModelCallOptions } from "@langchain/core/language_models/chat_models"
import { AIMessageChunk, type BaseMessage } from "@langchain/core/messages"
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs"
import type { Play } from "../../src/adapter-contract.ts"

/** LangChain's own fake models stream no tool calls. */
export class PlayModel extends BaseChatModel {
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

  /** The play knows which tools there are. */
  override bindTools() {
    return this
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
