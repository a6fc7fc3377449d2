import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager"
import { BaseChatModel, type BaseChatModelCallOptions } from "@langchain/core/language_models/chat_models"
import { AIMessage, AIMessageChunk, type BaseMessage } from "@langchain/core/messages"
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs"

/** The reply to all that was said so far: the call of a tool, or the answer that its result allows. */
const replyTo = (heard: string) => {
  const [, state] = /"state\\*":\s*\\*"(\w+)/u.exec(heard) ?? []
  const [, orderId] = /order (\d+)/iu.exec(heard) ?? []
  const [verb] = /cancel/iu.exec(heard) ?? []
  if (orderId === undefined) return { text: "Which order is it? Name it as order 1042." }
  return state === undefined
    ? { tool: verb === undefined ? "find_order" : "cancel_order", orderId: Number(orderId) }
    : { text: `Order ${orderId} is ${state}.` }
}

const heardIn = (messages: ReadonlyArray<BaseMessage>) =>
  replyTo(JSON.stringify(messages.filter(({ type }) => type !== "system").map(({ content }) => content)))

/** A model that needs no key and no network. */
class Offline extends BaseChatModel {
  _llmType() {
    return "offline"
  }

  override bindTools() {
    return this
  }

  async _generate(messages: Array<BaseMessage>): Promise<ChatResult> {
    const { orderId, text = "", tool } = heardIn(messages)
    const tool_calls = tool === undefined ? [] : [{ id: "call-1", name: tool, args: { orderId } }]
    return { generations: [{ text, message: new AIMessage({ content: text, tool_calls }) }] }
  }

  override async *_streamResponseChunks(
    messages: Array<BaseMessage>,
    _options: BaseChatModelCallOptions,
    manager?: CallbackManagerForLLMRun
  ) {
    const { orderId, text, tool } = heardIn(messages)
    if (tool !== undefined) {
      const tool_call_chunks = [{ index: 0, id: "call-1", name: tool, args: JSON.stringify({ orderId }) }]
      const message = new AIMessageChunk({ content: "", tool_call_chunks })
      yield new ChatGenerationChunk({ text: "", message })
      return
    }
    for (const word of text.split(/(?<= )/u)) {
      const chunk = new ChatGenerationChunk({ text: word, message: new AIMessageChunk(word) })
      await manager?.handleLLMNewToken(word, undefined, undefined, undefined, undefined, { chunk })
      yield chunk
    }
  }
}

export const offline = new Offline({})
