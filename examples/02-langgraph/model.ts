import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager"
import { BaseChatModel, type BaseChatModelCallOptions } from "@langchain/core/language_models/chat_models"
import { AIMessageChunk, type BaseMessage } from "@langchain/core/messages"
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs"

/** A fake provider, so that the example runs without a key: it searches once and quotes the result. */
export class OfflineModel extends BaseChatModel {
  constructor() {
    super({})
  }

  _llmType() {
    return "offline"
  }

  override getLsParams() {
    return { ls_model_type: "chat" as const, ls_provider: "offline", ls_model_name: "offline-researcher" }
  }

  _generate(): Promise<ChatResult> {
    return Promise.reject(new Error("the offline model only streams"))
  }

  override async *_streamResponseChunks(
    messages: Array<BaseMessage>,
    _options: BaseChatModelCallOptions,
    manager?: CallbackManagerForLLMRun
  ) {
    for (const message of this.reply(messages)) {
      const chunk = new ChatGenerationChunk({ text: message.text, message })
      yield chunk
      await manager?.handleLLMNewToken(message.text, undefined, undefined, undefined, undefined, { chunk })
    }
  }

  private *reply(messages: ReadonlyArray<BaseMessage>) {
    const last = messages.at(-1)
    const words = last?.type === "tool" ? `I found this: ${last.text}` : `Let me search.`
    for (const word of words.split(/(?<= )/)) yield new AIMessageChunk(word)
    if (last?.type !== "tool") {
      const args = JSON.stringify({ topic: last?.text ?? "" })
      yield new AIMessageChunk({ content: "", tool_call_chunks: [{ index: 0, id: "search_1", name: "search", args }] })
    }
    const size = messages.reduce((sum, message) => sum + message.text.length, 0)
    const usage_metadata = {
      input_tokens: Math.ceil(size / 4),
      output_tokens: Math.ceil(words.length / 4),
      total_tokens: 0
    }
    yield Object.assign(new AIMessageChunk(""), { usage_metadata })
  }
}
