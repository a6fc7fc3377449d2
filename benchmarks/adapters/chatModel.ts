/** A chat model of LangChain that answers from the script without a network. */
import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager"
import { BaseChatModel, type BaseChatModelCallOptions } from "@langchain/core/language_models/chat_models"
import { AIMessageChunk, type BaseMessage } from "@langchain/core/messages"
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs"
import { tool } from "@langchain/core/tools"
import { answer, look, orderSchema, usage } from "./script.ts"

export class ScriptModel extends BaseChatModel {
  _llmType() {
    return "script"
  }

  override bindTools() {
    return this
  }

  _generate(): Promise<ChatResult> {
    return Promise.reject(new Error("this model only streams"))
  }

  override async *_streamResponseChunks(
    messages: Array<BaseMessage>,
    _options: BaseChatModelCallOptions,
    manager?: CallbackManagerForLLMRun
  ) {
    const { call, texts } = answer(messages.filter(({ type }) => type === "ai").length)
    const say = async (message: AIMessageChunk) => {
      const chunk = new ChatGenerationChunk({ text: message.text, message })
      await manager?.handleLLMNewToken(message.text, undefined, undefined, undefined, undefined, { chunk })
      return chunk
    }
    for (const text of texts) yield await say(new AIMessageChunk(text))
    if (call !== undefined) {
      const tool_call_chunks = [{ index: 0, id: call.id, name: call.name, args: JSON.stringify(call.args) }]
      yield await say(new AIMessageChunk({ content: "", tool_call_chunks }))
    }
    const usage_metadata = {
      input_tokens: usage.input,
      output_tokens: usage.output,
      total_tokens: usage.input + usage.output
    }
    yield await say(Object.assign(new AIMessageChunk(""), { usage_metadata }))
  }
}

export const lookTool = tool(({ order }: { order: number }) => look({ order }), {
  name: "look",
  description: "Looks",
  schema: orderSchema
})

export const input = (question: string) => ({ messages: [{ role: "user", content: question }] })

/** The texts of the pairs that `streamMode: "messages"` gives. */
export async function* texts(stream: AsyncIterable<unknown>) {
  for await (const pair of stream) {
    const [chunk] = Array.isArray(pair) ? pair : []
    if (chunk instanceof AIMessageChunk && chunk.text !== "") yield chunk.text
  }
}
