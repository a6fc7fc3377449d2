import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager"
import { BaseChatModel, type BaseChatModelCallOptions } from "@langchain/core/language_models/chat_models"
import { AIMessageChunk, type BaseMessage } from "@langchain/core/messages"
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs"

interface Call {
  readonly id: string
  readonly name: string
  readonly args: string
}

export interface Reply {
  readonly texts?: ReadonlyArray<string>
  readonly call?: Call
  readonly calls?: ReadonlyArray<Call>
  readonly fails?: unknown
}

/** Streams the scripted answer to a conversation, one chunk per text, and counts its calls and chunks. */
export class FakeModel extends BaseChatModel {
  calls = 0
  chunks = 0
  readonly script: (messages: ReadonlyArray<BaseMessage>) => Reply

  constructor(script: (messages: ReadonlyArray<BaseMessage>) => Reply) {
    super({})
    this.script = script
  }

  _llmType() {
    return "fake"
  }

  override getLsParams() {
    return { ls_model_type: "chat" as const, ls_provider: "fake", ls_model_name: "fake-1" }
  }

  _generate(): Promise<ChatResult> {
    return Promise.reject(new Error("this model only streams"))
  }

  override async *_streamResponseChunks(
    messages: Array<BaseMessage>,
    _options: BaseChatModelCallOptions,
    manager?: CallbackManagerForLLMRun
  ) {
    this.calls++
    const { call, calls = call === undefined ? [] : [call], fails, texts = [] } = this.script(messages)
    const say = async (message: AIMessageChunk) => {
      this.chunks++
      const chunk = new ChatGenerationChunk({ text: message.text, message })
      await manager?.handleLLMNewToken(message.text, undefined, undefined, undefined, undefined, { chunk })
      return chunk
    }
    for (const text of texts) yield await say(new AIMessageChunk(text))
    if (fails !== undefined) throw fails
    for (const [index, { args, id, name }] of calls.entries()) {
      const half = Math.floor(args.length / 2)
      const start = { index, id, name, args: args.slice(0, half) }
      yield await say(new AIMessageChunk({ content: "", tool_call_chunks: [start] }))
      const rest = { index, args: args.slice(half) }
      yield await say(new AIMessageChunk({ content: "", tool_call_chunks: [rest] }))
    }
    const usage_metadata = { input_tokens: messages.length, output_tokens: texts.length, total_tokens: 0 }
    yield await say(Object.assign(new AIMessageChunk(""), { usage_metadata }))
  }
}
